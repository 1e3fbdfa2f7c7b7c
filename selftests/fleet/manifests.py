#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""manifests.py FOLDER PROMETHEUSRULE VERSION: the manifests in FOLDER against the
types of Kubernetes' own Python client, which are made from its published OpenAPI:
no field that is not there, of the type it must have, none missing that is
required; and whether they fit one another.

No package has the schemas of what Kubernetes does not bring, the kinds of KMM and
of the Prometheus operator: of these it is told only whether they fit the rest,
unless KA_CRDS names a folder with the CustomResourceDefinitions that they
publish."""

import glob
import os
import re
import sys

import jsonschema
import kubernetes.client
import yaml

MODELS = {("v1", "Namespace"): "V1Namespace", ("v1", "ConfigMap"): "V1ConfigMap",
          ("v1", "ServiceAccount"): "V1ServiceAccount",
          ("apps/v1", "DaemonSet"): "V1DaemonSet"}
PLAIN = {"str": str, "int": int, "float": (int, float), "bool": bool,
         "object": object, "datetime": str}


def fits(value, kind, at):
    """Makes an object of the client's of what YAML says."""
    if kind in PLAIN:
        assert isinstance(value, PLAIN[kind]), f"{at}: {value!r} is no {kind}"
        assert kind == "bool" or not isinstance(value, bool) or kind == "object", at
        return value
    several = re.fullmatch(r"list\[(.*)\]", kind)
    if several:
        assert isinstance(value, list), f"{at}: no list"
        return [fits(v, several[1], f"{at}[{i}]") for i, v in enumerate(value)]
    several = re.fullmatch(r"dict\(str, (.*)\)", kind)
    if several:
        assert isinstance(value, dict), f"{at}: no map"
        return {k: fits(v, several[1], f"{at}.{k}") for k, v in value.items()
                if fits(k, "str", at)}
    model = getattr(kubernetes.client, kind)
    names = {name: attr for attr, name in model.attribute_map.items()}
    assert isinstance(value, dict), f"{at}: no {kind}"
    unknown = set(value) - set(names)
    assert not unknown, f"{at}: {kind} has no {unknown}"
    try:
        return model(**{names[k]: fits(v, model.openapi_types[names[k]], f"{at}.{k}")
                        for k, v in value.items()})
    except ValueError as e:
        raise AssertionError(f"{at}: {e}") from e


def crd_schemas():
    """By apiVersion and kind."""
    found = {}
    for path in glob.glob(os.environ.get("KA_CRDS", "/nonexistent") + "/*.yaml"):
        with open(path, encoding="utf-8") as f:
            for crd in yaml.safe_load_all(f):
                for v in crd["spec"]["versions"]:
                    key = f"{crd['spec']['group']}/{v['name']}", crd["spec"]["names"]["kind"]
                    found[key] = closed(v["schema"]["openAPIV3Schema"])
    return found


def closed(schema):
    """As the API server prunes it: what is not named is not there."""
    if isinstance(schema, dict):
        schema = {k: closed(v) for k, v in schema.items()}
        if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema \
                and not schema.get("x-kubernetes-preserve-unknown-fields") \
                and set(schema["properties"]) != {"apiVersion", "kind", "metadata", "spec", "status"}:
            schema["additionalProperties"] = False
        if schema.pop("x-kubernetes-int-or-string", False):
            schema.pop("type", None)
    elif isinstance(schema, list):
        schema = [closed(v) for v in schema]
    return schema


def one(docs, kind, name=None):
    found, = [d for d in docs if d["kind"] == kind and
              name in (None, d["metadata"]["name"])]
    return found


def check_pod(docs, version):
    ds, module = one(docs, "DaemonSet"), one(docs, "Module")
    template = ds["spec"]["template"]
    pod = template["spec"]
    labels = template["metadata"]["labels"]
    for selector in (ds["spec"]["selector"], one(docs, "PodMonitor")["spec"]["selector"]):
        assert selector["matchLabels"].items() <= labels.items(), selector
    meta = module["metadata"]
    ready = f"kmm.node.kubernetes.io/{meta['namespace']}.{meta['name']}.ready"
    assert pod["nodeSelector"] == {ready: ""}, pod["nodeSelector"]
    assert one(docs, "ServiceAccount", pod["serviceAccountName"])
    assert pod["hostNetwork"] and not pod.get("hostPID") and not pod.get("hostIPC")
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"

    volumes = {v["name"]: v for v in pod["volumes"]}
    conf = one(docs, "ConfigMap", volumes["conf"]["configMap"]["name"])
    assert list(conf["data"]) == ["kactl.conf"]
    assert [n for n, v in volumes.items() if "hostPath" in v] == ["netns"], volumes
    used, ports = set(), set()
    for c in pod["containers"]:
        s = c["securityContext"]
        assert "privileged" not in s and s["allowPrivilegeEscalation"] is False, c
        assert s["readOnlyRootFilesystem"] is True, c
        assert s["capabilities"] == {"drop": ["ALL"], "add": [
            {"policy": "NET_ADMIN", "metrics": "SYS_ADMIN"}[c["name"]]]}, c
        assert c["image"].endswith("/kactl:" + version), c["image"]
        assert "subPath" not in str(c["volumeMounts"]), "it would never change"
        used |= {m["name"] for m in c["volumeMounts"]}
        ports |= {p["name"] for p in c.get("ports", [])}
    assert used == set(volumes), (used, volumes)
    assert {e["port"] for e in one(docs, "PodMonitor")["spec"]["podMetricsEndpoints"]} <= ports

    loader = module["spec"]["moduleLoader"]["container"]
    assert loader["modprobe"] == {"moduleName": "tcp_keepalive", "dirName": "/opt"}
    for mapping in loader["kernelMappings"]:
        assert re.fullmatch(mapping["regexp"], "6.1.0-56-amd64"), mapping
        assert mapping["containerImage"].endswith(f":{version}-${{KERNEL_FULL_VERSION}}")
        build = one(docs, "ConfigMap", mapping["build"]["dockerfileConfigMap"]["name"])
        assert f"/kactl:{version}\n" in build["data"]["dockerfile"]


def check_rules(docs, folder):
    """What the operator gets is what the files say."""
    want = []
    for path in ("../../../ctl/prometheus/alerts.yml", "../prometheus/fleet.yml"):
        with open(f"{folder}/{path}", encoding="utf-8") as f:
            want += yaml.safe_load(f)["groups"]
    assert one(docs, "PrometheusRule")["spec"] == {"groups": want}


def main(folder, rule, version):
    docs = []
    paths = sorted(glob.glob(folder + "/*.yaml"))
    for path in paths + [rule]:
        with open(path, encoding="utf-8") as f:
            docs += [d | {"from": path} for d in yaml.safe_load_all(f)]
    kustomization = one([d | {"metadata": {"name": None}} for d in docs
                         if d["kind"] == "Kustomization"], "Kustomization")
    for name in kustomization["resources"]:
        assert f"{folder}/{name}" in paths, name
    docs = [d for d in docs if d["kind"] != "Kustomization"]
    crds = crd_schemas()
    for doc in docs:
        at = f"{os.path.basename(doc.pop('from'))}: {doc['kind']}"
        key = doc["apiVersion"], doc["kind"]
        if key in MODELS:
            fits(doc, MODELS[key], at)
        elif key in crds:
            jsonschema.validate(doc, crds[key])
        else:
            print(f"{at}: no schema of it here, see KA_CRDS")
            continue
        print(f"{at}: as published")
    check_pod(docs, version)
    check_rules(docs, folder)
    where = {d["metadata"].get("namespace", d["metadata"]["name"]) for d in docs}
    assert where == {"tcp-keepalive"}, where


if __name__ == "__main__":
    main(*sys.argv[1:])
