// Every line of isa.tsv in its order, each a block of `bpf!`; before the one that LLVM cuts stands what asks for that.
// The test compares the texts, so none can be missing.
lines! {
    { r1 += r2; }
    { r1 += 5; }
    { r1 -= r2; }
    { r1 -= 5; }
    { r1 *= r2; }
    { r1 *= 5; }
    { r1 /= r2; }
    { r1 /= 5; }
    { r1 |= r2; }
    { r1 |= 5; }
    { r1 &= r2; }
    { r1 &= 5; }
    { r1 <<= r2; }
    { r1 <<= 5; }
    { r1 >>= r2; }
    { r1 >>= 5; }
    { r1 %= r2; }
    { r1 %= 5; }
    { r1 ^= r2; }
    { r1 ^= 5; }
    { r1 = r2; }
    { r1 = 5; }
    { r1 s>>= r2; }
    { r1 s>>= 5; }
    { r1 = -r1; }
    { r1 s/= r2; }
    { r1 s/= 5; }
    { r1 s%= r2; }
    { r1 s%= 5; }
    { r1 = (s8)r2; }
    { r1 = (s16)r2; }
    { r1 = (s32)r2; }
    { w1 += w2; }
    { w1 += 5; }
    { w1 -= w2; }
    { w1 -= 5; }
    { w1 *= w2; }
    { w1 *= 5; }
    { w1 /= w2; }
    { w1 /= 5; }
    { w1 |= w2; }
    { w1 |= 5; }
    { w1 &= w2; }
    { w1 &= 5; }
    { w1 <<= w2; }
    { w1 <<= 5; }
    { w1 >>= w2; }
    { w1 >>= 5; }
    { w1 %= w2; }
    { w1 %= 5; }
    { w1 ^= w2; }
    { w1 ^= 5; }
    { w1 = w2; }
    { w1 = 5; }
    { w1 s>>= w2; }
    { w1 s>>= 5; }
    { w1 = -w1; }
    { w1 s/= w2; }
    { w1 s/= 5; }
    { w1 s%= w2; }
    { w1 s%= 5; }
    { w1 = (s8)w2; }
    { w1 = (s16)w2; }
    { r1 = le16 r1; }
    { r1 = le32 r1; }
    { r1 = le64 r1; }
    { r1 = be16 r1; }
    { r1 = be32 r1; }
    { r1 = be64 r1; }
    { r1 = bswap16 r1; }
    { r1 = bswap32 r1; }
    { r1 = bswap64 r1; }
    { r1 = 0x1122334455667788 ll; }
    { r1 = -1 ll; }
    { ld_pseudo r1, 1, 42; }
    { ld_pseudo r1, 2, 42; }
    { ld_pseudo r1, 3, 42; }
    { ld_pseudo r1, 4, 42; }
    { ld_pseudo r1, 5, 42; }
    { ld_pseudo r1, 6, 42; }
    { .option llvm_ld_pseudo; ld_pseudo r1, 2, 0x700000042; }
    { r1 = *(u8 *)(r2 + 8); }
    { r1 = *(u16 *)(r2 + 8); }
    { r1 = *(u32 *)(r2 + 8); }
    { r1 = *(u64 *)(r2 + 8); }
    { w1 = *(u8 *)(r2 + 8); }
    { w1 = *(u16 *)(r2 + 8); }
    { w1 = *(u32 *)(r2 + 8); }
    { r1 = *(s8 *)(r2 + 8); }
    { r1 = *(s16 *)(r2 + 8); }
    { r1 = *(s32 *)(r2 + 8); }
    { r1 = *(u64 *)(r10 - 8); }
    { *(u8 *)(r1 + 8) = r2; }
    { *(u16 *)(r1 + 8) = r2; }
    { *(u32 *)(r1 + 8) = r2; }
    { *(u64 *)(r1 + 8) = r2; }
    { *(u8 *)(r1 + 8) = w2; }
    { *(u16 *)(r1 + 8) = w2; }
    { *(u32 *)(r1 + 8) = w2; }
    { *(u8 *)(r1 + 8) = 5; }
    { *(u16 *)(r1 + 8) = 5; }
    { *(u32 *)(r1 + 8) = 5; }
    { *(u64 *)(r1 + 8) = 5; }
    { lock *(u32 *)(r1 + 8) += w2; }
    { lock *(u32 *)(r1 + 8) &= w2; }
    { lock *(u32 *)(r1 + 8) |= w2; }
    { lock *(u32 *)(r1 + 8) ^= w2; }
    { w2 = atomic_fetch_add((u32 *)(r1 + 8), w2); }
    { w2 = atomic_fetch_and((u32 *)(r1 + 8), w2); }
    { w2 = atomic_fetch_or((u32 *)(r1 + 8), w2); }
    { w2 = atomic_fetch_xor((u32 *)(r1 + 8), w2); }
    { lock *(u64 *)(r1 + 8) += r2; }
    { lock *(u64 *)(r1 + 8) &= r2; }
    { lock *(u64 *)(r1 + 8) |= r2; }
    { lock *(u64 *)(r1 + 8) ^= r2; }
    { r2 = atomic_fetch_add((u64 *)(r1 + 8), r2); }
    { r2 = atomic_fetch_and((u64 *)(r1 + 8), r2); }
    { r2 = atomic_fetch_or((u64 *)(r1 + 8), r2); }
    { r2 = atomic_fetch_xor((u64 *)(r1 + 8), r2); }
    { lock *(u32 *)(r1 + 8) += r2; }
    { w2 = xchg32_32(r1 + 8, w2); }
    { r2 = xchg_64(r1 + 8, r2); }
    { w0 = cmpxchg32_32(r1 + 8, w0, w2); }
    { r0 = cmpxchg_64(r1 + 8, r0, r2); }
    { w2 = load_acquire((u8 *)(r1 + 8)); }
    { w2 = load_acquire((u16 *)(r1 + 8)); }
    { w2 = load_acquire((u32 *)(r1 + 8)); }
    { r2 = load_acquire((u64 *)(r1 + 8)); }
    { store_release((u8 *)(r1 + 8), w2); }
    { store_release((u16 *)(r1 + 8), w2); }
    { store_release((u32 *)(r1 + 8), w2); }
    { store_release((u64 *)(r1 + 8), r2); }
    { r0 = *(u8 *)skb[12]; }
    { r0 = *(u16 *)skb[12]; }
    { r0 = *(u32 *)skb[12]; }
    { r0 = *(u8 *)skb[r2]; }
    { r0 = *(u16 *)skb[r2]; }
    { r0 = *(u32 *)skb[r2]; }
    { goto +3; }
    { goto -3; }
    { gotol +3; }
    { may_goto +3; }
    { gotox r1; }
    { if r1 == r2 goto +3; }
    { if r1 == 5 goto +3; }
    { if r1 != r2 goto +3; }
    { if r1 != 5 goto +3; }
    { if r1 > r2 goto +3; }
    { if r1 > 5 goto +3; }
    { if r1 >= r2 goto +3; }
    { if r1 >= 5 goto +3; }
    { if r1 < r2 goto +3; }
    { if r1 < 5 goto +3; }
    { if r1 <= r2 goto +3; }
    { if r1 <= 5 goto +3; }
    { if r1 s> r2 goto +3; }
    { if r1 s> 5 goto +3; }
    { if r1 s>= r2 goto +3; }
    { if r1 s>= 5 goto +3; }
    { if r1 s< r2 goto +3; }
    { if r1 s< 5 goto +3; }
    { if r1 s<= r2 goto +3; }
    { if r1 s<= 5 goto +3; }
    { if r1 & r2 goto +3; }
    { if r1 & 5 goto +3; }
    { if w1 == w2 goto +3; }
    { if w1 == 5 goto +3; }
    { if w1 != w2 goto +3; }
    { if w1 != 5 goto +3; }
    { if w1 > w2 goto +3; }
    { if w1 > 5 goto +3; }
    { if w1 >= w2 goto +3; }
    { if w1 >= 5 goto +3; }
    { if w1 < w2 goto +3; }
    { if w1 < 5 goto +3; }
    { if w1 <= w2 goto +3; }
    { if w1 <= 5 goto +3; }
    { if w1 s> w2 goto +3; }
    { if w1 s> 5 goto +3; }
    { if w1 s>= w2 goto +3; }
    { if w1 s>= 5 goto +3; }
    { if w1 s< w2 goto +3; }
    { if w1 s< 5 goto +3; }
    { if w1 s<= w2 goto +3; }
    { if w1 s<= 5 goto +3; }
    { if w1 & w2 goto +3; }
    { if w1 & 5 goto +3; }
    { call 5; }
    { callx r1; }
    { exit; }
    { r1 = addr_space_cast(r2, 1, 0); }
    { r1 = addr_space_cast(r2, 0, 1); }
}
