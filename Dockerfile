# SPDX-License-Identifier: Apache-2.0
# Two images: `docker build --target agent -t drawbridge-agent .` and `--target operator`. The agent's has the means to enter the node's namespaces
# and runs as root; the operator's runs as nobody in particular. Both stand a read-only root file system.
# Where no registry is in reach: --build-arg BASE=IMAGE, and --build-context helm=DIR with a helm in it in place of the stage of that name.
ARG BASE=debian:12-slim
ARG GO=golang:1.26-bookworm
FROM ${BASE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev cmake ninja-build pkg-config \
      libuv1-dev libcurl4-openssl-dev libjansson-dev libyaml-dev libgit2-dev libssl-dev
COPY . /src
RUN cmake -S /src -B /build -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS_RELEASE=-O2 -DCMAKE_INTERPROCEDURAL_OPTIMIZATION=ON \
      -DDRAWBRIDGE_HARDEN=ON -DBUILD_TESTING=OFF && cmake --build /build --target drawbridge drawbridge-guard drawbridge-git drawbridge-confine \
    && strip /build/drawbridge /build/drawbridge-guard /build/drawbridge-git /build/drawbridge-confine

FROM ${BASE} AS runtime
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libuv1 libcurl4 libjansson4 libyaml-0-2 libssl3 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /build/drawbridge /usr/local/bin/drawbridge
ENTRYPOINT ["/usr/local/bin/drawbridge"]

# drawbridge-guard is copied to the node by the agent; nsenter is in the base's util-linux; without it the build fails here and not on a node
FROM runtime AS agent
COPY --from=build /build/drawbridge-guard /usr/local/bin/drawbridge-guard
RUN nsenter --version
CMD ["agent"]

# helm 4, as pinned for the tests
FROM ${GO} AS helm
COPY e2e/tools/helm /src
RUN cd /src && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /helm helm.sh/helm/v4/cmd/helm

# helm for spec.driver; and what a ConfigSource needs: the worker that has libgit2, and what verifies signatures
FROM runtime AS operator
RUN apt-get update && apt-get install -y --no-install-recommends libgit2-1.5 openssh-client gpgv && rm -rf /var/lib/apt/lists/*
COPY --from=helm /helm /usr/local/bin/helm
COPY --from=build /build/drawbridge-git /build/drawbridge-confine /usr/local/bin/
# ssh-keygen, which verifies signatures, does nothing for a user without a name; that shows here and not in a cluster
RUN echo 'drawbridge:x:65532:65532::/nonexistent:/usr/sbin/nologin' >>/etc/passwd
USER 65532:65532
RUN ssh-keygen -q -t ed25519 -N '' -f /tmp/probe && rm /tmp/probe /tmp/probe.pub
CMD ["run"]
