"""Hugging Face's `Trainer` with its own checkpoints, which knows nothing of holdfast."""

from __future__ import annotations

import argparse
import hashlib

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

parser = argparse.ArgumentParser()
parser.add_argument("--resume_from_checkpoint")
arguments = parser.parse_args()

torch.manual_seed(1)
config = BertConfig(
    vocab_size=32, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
)
model = BertForSequenceClassification(config)
words = torch.randint(0, 32, (64, 6))
data = [{"input_ids": row, "labels": int(row[0] > 16)} for row in words]
settings = TrainingArguments(
    output_dir="out", max_steps=24, save_steps=4, save_total_limit=3, per_device_train_batch_size=8,
    report_to=[], disable_tqdm=True, use_cpu=True, seed=1, logging_steps=8,
)  # fmt: skip
print(f"start from {arguments.resume_from_checkpoint}", flush=True)
Trainer(model=model, args=settings, train_dataset=data).train(
    resume_from_checkpoint=arguments.resume_from_checkpoint
)
digest = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in model.state_dict().values()))
print(f"digest {digest.hexdigest()}")
