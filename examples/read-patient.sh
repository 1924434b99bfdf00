#!/bin/sh
# A token by certificate, and a read, with curl alone. The client proves itself by its certificate (RFC 8705 §2.1), and its token is bound to it.
set -eu
dev=${1:-.phylax/dev.json}
value() { node -p "JSON.parse(require('fs').readFileSync('$dev', 'utf8')).$1"; }
client() { value "clients.find(({ id }) => id === 'operations').$1"; }

connect="--silent --show-error --fail-with-body --cacert $(value ca) --cert $(client cert) --key $(client key)"
answer=$(curl $connect -d grant_type=client_credentials -d client_id=operations "$(value tokenEndpoint)")
token=$(printf %s "$answer" | node -p 'JSON.parse(require("fs").readFileSync(0, "utf8")).access_token')

# The token stands in a header, never in the URL. Phylax-Receipt names the record of this disclosure.
curl $connect --include -H "Authorization: Bearer $token" "$(value fhir)/Patient/amara-okafor"
