# SPDX-License-Identifier: Apache-2.0
"""A network of ours inside PyTorch: LeNet with a softmax output, mean squared error, SGD. Prints: trained 75334 parameters, loss 0.810 → 0.810

The program of N2D2's PyTorch document, without its work-arounds: the output has the labels' shape, the parameters are torch's own,
the last layer knows no loss, and the optimizer's step is the one that counts.
"""
import torch

import pytenon
from pytenon import layers as nn
from pytenon.torch import Block

batch_size = 10
mnist_cnn = pytenon.Network([
    nn.conv2d(4, 3), nn.relu(), nn.conv2d(4, 3), nn.relu(),
    nn.max_pool2d(2), nn.flatten(), nn.linear(128), nn.relu(), nn.linear(10), nn.softmax(),
], input=(1, 28, 28), seed=1)
model = Block(mnist_cnn)

# Dummy input and label for the example
input_tensor = torch.ones(batch_size, 1, 28, 28)
label = torch.ones(batch_size, 10)

opt = torch.optim.SGD(model.parameters(), lr=0.01)
criterion = torch.nn.MSELoss()
losses = []
for step in range(2):
    output = model(input_tensor)
    loss = criterion(output, label)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
print(f"trained {sum(p.numel() for p in model.parameters())} parameters, loss {losses[0]:.3f} → {losses[-1]:.3f}")
