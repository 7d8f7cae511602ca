# SPDX-License-Identifier: Apache-2.0
"""A network of ours as a torch.nn.Module over the same memory.

    block = pytenon.torch.Block(pytenon.Network([…], input=(1, 28, 28)))
    optimizer = torch.optim.SGD(block.parameters(), lr=0.01)
    loss = torch.nn.functional.mse_loss(block(x), target)
    loss.backward()          # plain gradients; no weight changes
    optimizer.step()         # writes the network's own memory

Parameters are given to every call, so whatever torch puts in their place is used (functional_call, prune, EMA …).
"""
from ._block import Block

__all__ = ["Block"]

Block.__module__ = __name__  # where users meet it, and where pickle looks
