# Three images from one file, each with one static program that runs as user 65532 on a read-only
# root:
#
#   docker build --build-arg VERSION=v0.1.0 --target manager -t ghcr.io/hallpass-dev/manager .
#   docker build --build-arg VERSION=v0.1.0 --target tokenserver \
#     -t ghcr.io/hallpass-dev/tokenserver .
#   docker build --build-arg VERSION=v0.1.0 --target login -t ghcr.io/hallpass-dev/login .
#
# This is not what a release is built with: `make image` needs no base. The bases here are named by
# tag, because a tag takes in the security updates of the distribution, and because a digest in this
# file would have to be looked up at its registry for each of them. For the same image from the same
# sources, look the digests up with `docker buildx imagetools inspect IMAGE` and pass them, tag and
# all:
#
#   --build-arg GO_IMAGE=golang:1.26-bookworm@sha256:… \
#   --build-arg BASE_IMAGE=gcr.io/distroless/static-debian12:nonroot@sha256:…

ARG GO_IMAGE=golang:1.26-bookworm
ARG BASE_IMAGE=gcr.io/distroless/static-debian12:nonroot

FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
ARG TARGETOS TARGETARCH
ARG VERSION=devel
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY api api
COPY cmd cmd
COPY internal internal
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags="-s -w -X main.version=$VERSION" -o /out/ ./cmd/manager ./cmd/tokenserver ./cmd/login

FROM ${BASE_IMAGE} AS manager
COPY --from=build /out/manager /manager
USER 65532:65532
ENTRYPOINT ["/manager"]

FROM ${BASE_IMAGE} AS tokenserver
COPY --from=build /out/tokenserver /tokenserver
USER 65532:65532
ENTRYPOINT ["/tokenserver"]

FROM ${BASE_IMAGE} AS login
COPY --from=build /out/login /login
USER 65532:65532
ENTRYPOINT ["/login"]
