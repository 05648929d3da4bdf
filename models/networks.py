"""The networks that classify windows, by name: one line for each."""

from __future__ import annotations

from typing import Any

from torch import nn

from models.atcnet import ATCNet, ATCNetConfig
from models.cnn_lstm import CNNLSTM, CNNLSTMConfig
from models.convnets import (
    DeepConvNet,
    DeepConvNetConfig,
    ShallowConvNet,
    ShallowConvNetConfig,
)
from models.eeg_conformer import EEGConformer, EEGConformerConfig
from models.eegnet import EEGNet, EEGNetConfig

#: Network and its settings; the first three of these are channels, samples and classes.
NETWORKS: dict[str, tuple[Any, Any]] = {
    "eegnet": (EEGNet, EEGNetConfig),
    "shallow": (ShallowConvNet, ShallowConvNetConfig),
    "deep4": (DeepConvNet, DeepConvNetConfig),
    "conformer": (EEGConformer, EEGConformerConfig),
    "atcnet": (ATCNet, ATCNetConfig),
    "cnn_lstm": (CNNLSTM, CNNLSTMConfig),
}


def build(name: str, n_channels: int, n_times: int, n_classes: int) -> nn.Module:
    """Make a network with its initial weights.

    Raises
    ------
    ValueError
        There is none of this name, or windows are too short for it.
    """
    if name not in NETWORKS:
        raise ValueError(f"there is no network '{name}'; known are {', '.join(NETWORKS)}")
    network, config = NETWORKS[name]
    made: nn.Module = network(config(n_channels, n_times, n_classes))
    return made
