"""`trivium serve` with a real vLLM on this machine's CPU: adapters are merged, one question is
answered over the wire, and nothing is left.

`make test-vllm` installs vLLM and runs this.
"""

import json
import re
import signal
import subprocess
import sys
from urllib.request import ProxyHandler, Request, build_opener

import psutil
import pytest
import yaml

from tests.real.test_vllm import ended
from training.export import quantize


@pytest.fixture(autouse=True, scope="module")
def surroundings(vllm_python, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIVIUM_VLLM_PYTHON", str(vllm_python))
        patch.setenv("TRIVIUM_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield


@pytest.fixture(scope="module")
def student(small_model, tmp_path_factory):
    """A run of one phase: adapters on the small model, which change what it says."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("run") / "student"
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(small_model)
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear"))
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.2)
    adapted.save_pretrained(folder / "phase1")
    AutoTokenizer.from_pretrained(small_model).save_pretrained(folder / "phase1")
    recipe = {"student": {"model": str(small_model)}, "threads": 1, "phases": []}
    figures = {"steps": 1, "tokens": 1, "seconds": 1.0, "loss": 1.0, "why": "epochs"}
    stage = {"stage": "phase1", **figures, "samples": {"kept": 1, "dropped": {}}}
    run = {"fingerprint": "none", "recipe": recipe, "stages": [stage]}
    (folder / "run.json").write_text(json.dumps(run))
    return folder


def asked(url, model):
    """The greedy answer to one question, and its tokens."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "What do chickadees eat?"}],
        "max_tokens": 8,
        "temperature": 0,
    }
    request = Request(
        f"{url}/chat/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    with build_opener(ProxyHandler({})).open(request) as answer:
        told = json.load(answer)
    return told["choices"][0]["message"]["content"], told["usage"]["completion_tokens"]


def served(folder):
    """Serves a folder, asks it once, and stops it as Ctrl-C does; its answer, and what was said."""
    words = [sys.executable, "-m", "training.cli", "serve", "--student", str(folder)]
    flags = ("--", "--enforce-eager", "--max-model-len", "512")
    serving = subprocess.Popen(
        [*words, "--port", "0", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    family = []
    try:
        head, _, _, teacher = (serving.stdout.readline().strip() for _ in range(4))
        found = re.fullmatch(r"(\S+) answers at (\S+); Ctrl-C stops it", head)
        assert found, serving.communicate(timeout=60)[1]
        family = psutil.Process(serving.pid).children(recursive=True)
        told = yaml.safe_load(teacher)["teacher"]
        assert (told["model"], told["url"]) == found.groups()
        answer = asked(told["url"], told["model"])
    finally:
        serving.send_signal(signal.SIGINT)
        said = serving.communicate(timeout=60)[1]
    assert serving.returncode == 0, said
    assert ended(family, 5), "nothing is left"
    print(f"\n{said}")
    return answer, said


def test_a_merged_student_answers(student):
    (text, tokens), said = served(student)
    assert tokens > 0
    assert f"merging phase1 into {student / 'merged'}" in said
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(student / "merged")
    tokenizer = AutoTokenizer.from_pretrained(student / "merged")
    messages = [{"role": "user", "content": "What do chickadees eat?"}]
    ids = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    made = model.generate(**ids, max_new_tokens=1, do_sample=False)
    first = tokenizer.decode(made[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
    assert text.strip().startswith(first.strip()), "what it serves is the merged student"


READ = """
import json, sys
from vllm.model_executor.layers.quantization.compressed_tensors import compressed_tensors
for place in sys.argv[1:]:
    account = json.load(open(place + "/config.json"))["quantization_config"]
    read = compressed_tensors.CompressedTensorsConfig.from_config(account)
    weights = read.target_scheme_map["Linear"]["weights"]
    known = read._is_wNa16_group_channel(weights, None)
    print(weights.num_bits, weights.group_size, known, read.ignore)
"""


@pytest.mark.skipif(bool(quantize.missing()), reason="compressed-tensors is not installed")
def test_vllm_reads_the_account_of_a_quantized_export(student, tmp_path, vllm_python):
    """Of the same library in vLLM's own version. To compute with it needs kernels that not every
    build for CPUs has.
    """
    places = []
    for form in ("int8", "int4"):
        places.append(str(tmp_path / form))
        words = [sys.executable, "-m", "training.cli", "export", "--student", str(student)]
        words += ["--to", form, "--no-gate", "--out", places[-1]]
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    done = subprocess.run([vllm_python, "-c", READ, *places], capture_output=True, text=True)
    assert done.stdout.splitlines()[-2:] == [
        "8 None True ['lm_head']",
        "4 128 True ['lm_head']",
    ], done.stderr
