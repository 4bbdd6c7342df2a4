r2 = xchg_64(r1 + 8, r2)
w0 = cmpxchg32_32(r1 + 8, w0, w2)
r0 = cmpxchg_64(r1 + 8, r0, r2)
w2 = load_acquire((u8 *)(r1 + 8))
w2 = load_acquire((u16 *)(r1 + 8))
w2 = load_acquire((u32 *)(r1 + 8))
r2 = load_acquire((u64 *)(r1 + 8))
store_release((u8 *)(r1 + 8), w2)
store_release((u16 *)(r1 + 8), w2)
store_release((u32 *)(r1 + 8), w2)
store_release((u64 *)(r1 + 8), r2)
r0 = *(u8 *)skb[12]
r0 = *(u16 *)skb[12]
r0 = *(u32 *)skb[12]
r0 = *(u8 *)skb[r2]
r0 = *(u16 *)skb[r2]
r0 = *(u32 *)skb[r2]
goto +3
goto -3
gotol +3
may_goto +3
gotox r1
if r1 == r2 goto +3
if r1 == 5 goto +3
