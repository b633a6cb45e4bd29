# A Redis for clusters that no registry of images reaches: the base image of ours, and a redis-server of this machine.
ARG BASE_IMAGE=python:3.13-slim
FROM ${BASE_IMAGE}
COPY redis-server /usr/local/bin/redis-server
USER 65532:65532
ENTRYPOINT ["redis-server"]
