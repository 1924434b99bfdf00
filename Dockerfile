# The sandbox in a container: everything that `npm start` runs, with synthetic patients. It is for trying Phylax and
# for tests of clients, never for real data: its keys are made on this machine and its issuers sign for anyone.
#
#   docker build -t phylax-sandbox .
#   docker run --rm --network host -v phylax-state:/phylax/.phylax phylax-sandbox
#
# The sandbox listens on loopback, and its certificates name localhost: clients run on the same host.
FROM node:24.21.0-bookworm-slim
WORKDIR /phylax
RUN apt-get update -q && apt-get install -qy --no-install-recommends ca-certificates procps && rm -rf /var/lib/apt/lists/*
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY . .
RUN mkdir -p .phylax && chown -R node:node /phylax/.phylax && sha256sum package-lock.json | cut -d' ' -f1 | tr -d '\n' > node_modules/.installed-from
USER node
VOLUME /phylax/.phylax
EXPOSE 8443
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "scripts/with-node.mjs", "sandbox/start.ts"]
