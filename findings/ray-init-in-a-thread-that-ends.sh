#!/usr/bin/env bash
# Ray 2.60.0 on Linux: the cluster that ray.init() starts is killed when the *thread* that called it ends, while the
# process lives on: Ray asks the kernel to kill its processes with their parent (PR_SET_PDEATHSIG), which counts threads.
# ray.is_initialized() still says True. Whoever calls ray.init() in a helper thread, to be able to give up waiting for
# it, is left without a cluster. The same call in the main thread keeps it.
# Exits 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check ray==2.60.0 psutil==7.2.2
cat > "$folder/look.py" <<'PYTHON'
import os
import sys
import threading
import time

import psutil
import ray


def start():
    ray.init(address="local", include_dashboard=False, object_store_memory=80_000_000, num_cpus=1, logging_level="ERROR")


def alive():
    children = psutil.Process().children(recursive=True)
    return sorted({child.name() for child in children if child.status() != psutil.STATUS_ZOMBIE} & {"raylet", "gcs_server"})


if sys.argv[1] == "thread":
    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
else:
    start()
time.sleep(2)
print(f"ray.init in the {sys.argv[1]}: is_initialized {ray.is_initialized()}, processes {alive()}", flush=True)
os._exit(0 if bool(alive()) == (sys.argv[1] == "main") and ray.is_initialized() else 1)
PYTHON
export HOME="$folder" RAY_USAGE_STATS_ENABLED=0 RAY_AUTH_MODE=disabled
"$folder/venv/bin/python" -c "import ray; print('Ray', ray.__version__)"
"$folder/venv/bin/python" "$folder/look.py" main 2> "$folder/main.log"
"$folder/venv/bin/python" "$folder/look.py" thread 2> "$folder/thread.log"
