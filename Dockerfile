# Locality Lab for many, on a CPU, in shared mode (README, "Deployment"):
#   docker build -t locality-lab . && docker run -p 8501:8501 -v locality-lab:/data locality-lab
FROM python:3.11-slim

# User 1000 is the one that Hugging Face Spaces run as.
RUN useradd --create-home --uid 1000 lab && mkdir /data && chown lab:lab /data
WORKDIR /home/lab/app

# Its own layer, so that a change of the code does not install again; the CPU's torch, without CUDA libraries.
COPY requirements.txt .
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu -r requirements.txt

# The app writes into static/ and nowhere else here; results and compiled loops go to the volume.
COPY --chown=lab:lab . .
USER lab
ENV PORT=8501 HOST=0.0.0.0 STREAMLIT_SERVER_BASE_URL_PATH="" \
    LOCALITY_CACHE=/data/cache NUMBA_CACHE_DIR=/data/numba PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 8501

HEALTHCHECK --interval=30s --timeout=5s --start-period=90s --retries=3 CMD python -c "import os, urllib.request as u; \
    base = os.environ['STREAMLIT_SERVER_BASE_URL_PATH'].strip('/'); \
    u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/{base}{\"/\" * bool(base)}_stcore/health', timeout=4)"

CMD exec python -m pages._ui.serve --server.port="$PORT" --server.address="$HOST" --server.headless=true
