#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What cloud-init does with the bootstrap data of a Machine: cloud-init.py FILE NAME=VALUE...

The metadata are put in, files written, and commands run. Bootstrap data that asks for anything else is refused. It fails unless the commands say,
as those of Cluster API's kubeadm provider do, that all went well.
"""
import base64
import gzip
import os
import re
import subprocess
import sys

import yaml

DONE = "/run/cluster-api/bootstrap-success.complete"


def write(file):
    content = file["content"].encode()
    encoding = file.get("encoding", "").split("+")
    if "base64" in encoding:
        content = base64.b64decode(content)
    if "gzip" in encoding:
        content = gzip.decompress(content)
    os.makedirs(os.path.dirname(file["path"]), exist_ok=True)
    with open(file["path"], "ab" if file.get("append") else "wb") as out:
        out.write(content)
    os.chmod(file["path"], int(file.get("permissions", "0644"), 8))


def main():
    with open(sys.argv[1], encoding="utf-8") as data:
        text = data.read()
    metadata = dict(word.split("=", 1) for word in sys.argv[2:])
    config = yaml.safe_load(re.sub(r"\{\{ ds\.meta_data\.(\w+) \}\}", lambda found: metadata[found[1]], text))
    files, commands = config.pop("write_files"), config.pop("runcmd")
    if config:
        sys.exit("no idea of " + ", ".join(config))
    for file in files:
        write(file)
    for command in commands:
        print("+", command, flush=True)
        subprocess.run(command, shell=True, check=False)
    sys.exit(not os.path.exists(DONE))


main()
