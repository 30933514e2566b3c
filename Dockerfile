# Batch training on a machine with or without a GPU; docs/remote.md says how to run it.
# The package index has torch for Linux with CUDA in it, which works without a GPU, too.
FROM python:3.12-slim

WORKDIR /course
COPY requirements.txt ./
# Further packages; compose.yaml asks for Ray.
ARG ALSO=""
RUN pip install --no-cache-dir -r requirements.txt $ALSO
COPY mnist_drill/ mnist_drill/

# An unprivileged user; `docker run --user` may name the owner of the mounted folder, where all that is written goes.
RUN mkdir /out && chmod 777 /out
VOLUME /out
ENV HOME=/tmp MNIST_DRILL_DATA=/out/data TORCH_HOME=/out/torch PYTHONPATH=/course PYTHONUNBUFFERED=1
USER 1000:1000
WORKDIR /out

ENTRYPOINT ["python", "-m", "mnist_drill"]
CMD ["train", "stage4"]
