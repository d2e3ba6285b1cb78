"""The cross-attention layer of the head, computed in whichever of two ways is the faster."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


def attention_products(queries: int, tokens: int, dim: int, heads: int) -> tuple[int, int]:
    """Multiplications of the cross-attention of ``queries`` to the tokens of one image or text.

    First with projected keys and values: two matrix products for each token, two dot products of
    each query with each token. Then absorbed: two matrix products for each query and head, two dot
    products of full width for each head, query and token. The projections of the query and of the
    output are the same in both and not counted.
    """
    return (
        2 * tokens * dim * (dim + queries),
        2 * queries * dim * (dim + heads * tokens),
    )


def absorbs(queries: int, tokens: int, dim: int, heads: int, *, device: str) -> bool:
    """Whether the absorbed way of :class:`FusionLayer` is the faster one.

    A CPU computes longer than it reads, so the number of products decides: measured on one core at
    the published size, both ways take the same time where the ratio of their products is between
    0.75 and 0.8. Other devices wait for memory. There the activations decide: queries of full width
    for each head, against projected keys and values.

    Args:
        queries: per image or text.
        tokens: of the image or text, the pooled vector included.
        dim: of queries and tokens.
        heads: of the attention.
        device: PyTorch's name of the device type, ``cpu`` or another.
    """
    if device == "cpu":
        projected, absorbed = attention_products(queries, tokens, dim, heads)
        return absorbed < projected
    return heads * queries < tokens


class FusionLayer(nn.Module):
    """One layer of CARZero's decoder: cross-attention, then a feed-forward block, both pre-norm.

    ``x + attention(norm2(x), memory, memory)``, then ``x + linear2(ReLU(linear1(norm3(x))))``.
    Norms and linears are named as in ``nn.TransformerDecoderLayer``, whose self-attention CARZero
    carries but never uses; it is left out.
    """

    def __init__(self, dim: int, heads: int, feedforward: int):
        super().__init__()
        self.heads = heads
        self.norm2 = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)
        self.norm3 = nn.LayerNorm(dim)
        self.linear1 = nn.Linear(dim, feedforward)
        self.linear2 = nn.Linear(feedforward, dim)
        for projection in (self.query, self.key, self.value, self.out):
            nn.init.xavier_uniform_(projection.weight)
            nn.init.zeros_(projection.bias)

    def _split(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def forward(
        self,
        x: Float[Tensor, "#memory query dim"],
        memory: Float[Tensor, "memory token dim"],
        mask: Bool[Tensor, "memory token"] | None = None,
    ) -> Float[Tensor, "memory query dim"]:
        """Queries of every memory; those that all memories share are passed and projected once.

        Args:
            x: the queries.
            memory: tokens of N images or texts, which give keys and values.
            mask: True for tokens that are attended; default: all are.
        """
        query = self.query(self.norm2(x))
        attend = self._absorbed if self._absorbs(x.shape[1], memory) else self._projected
        x = x + self.out(attend(query, memory, mask))
        return x + self.linear2(self.linear1(self.norm3(x)).relu())

    def _absorbs(self, queries: int, memory: Tensor) -> bool:
        _, tokens, dim = memory.shape
        return absorbs(queries, tokens, dim, self.heads, device=memory.device.type)

    def _projected(self, query: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """Keys and values are projected once for each memory and serve all its queries."""
        attended = scaled_dot_product_attention(
            self._split(query).expand(len(memory), -1, -1, -1),
            self._split(self.key(memory)),
            self._split(self.value(memory)),
            attn_mask=None if mask is None else mask[:, None, None, :],
        )
        return attended.transpose(1, 2).flatten(2)

    def _absorbed(self, query: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        r"""The same, with no key and no value: their matrices move to the queries' side.

        :math:`q \cdot W_k m = W_k^\top q \cdot m`, and a sum of values is the value of the sum. The
        bias of the keys adds the same to all tokens of a memory, which a softmax does not see; it
        is there for its gradient of zero, as data-parallel training waits for every parameter's.
        """
        into = self.key.weight.unflatten(0, (self.heads, -1))
        out = self.value.weight.unflatten(0, (self.heads, -1))
        query, scale = self._split(query), into.shape[1] ** -0.5
        absorbed = torch.einsum("bhqc,hcd->bhqd", query, into).flatten(1, 2)
        bias = self.key.bias.unflatten(0, (self.heads, 1, -1))
        offset = (query * bias).sum(dim=3).flatten(1)[:, :, None]
        absorbed = absorbed.expand(len(memory), -1, -1)
        logits = torch.baddbmm(scale * offset, absorbed, memory.transpose(1, 2), alpha=scale)
        if mask is not None:
            logits = logits.masked_fill(~mask[:, None, :], -torch.inf)
        attended = (logits.softmax(dim=2) @ memory).unflatten(1, (self.heads, -1))
        values = torch.einsum("bhqd,hcd->bqhc", attended, out).flatten(2)
        return values + self.value.bias

    def weights(
        self,
        x: Float[Tensor, "#memory query dim"],
        memory: Float[Tensor, "memory token dim"],
        mask: Bool[Tensor, "memory token"] | None = None,
    ) -> Float[Tensor, "memory query token"]:
        """Attention weights of this layer, averaged over its heads."""
        query, key = self._split(self.query(self.norm2(x))), self._split(self.key(memory))
        logits = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
        if mask is not None:
            logits = logits.masked_fill(~mask[:, None, None, :], -torch.inf)
        return logits.softmax(dim=3).mean(dim=1)
