if w1 > w2 goto +3
if w1 > 5 goto +3
if w1 >= w2 goto +3
if w1 >= 5 goto +3
if w1 < w2 goto +3
if w1 < 5 goto +3
if w1 <= w2 goto +3
if w1 <= 5 goto +3
if w1 s> w2 goto +3
if w1 s> 5 goto +3
if w1 s>= w2 goto +3
if w1 s>= 5 goto +3
if w1 s< w2 goto +3
if w1 s< 5 goto +3
if w1 s<= w2 goto +3
if w1 s<= 5 goto +3
if w1 & w2 goto +3
if w1 & 5 goto +3
call 5
callx r1
exit
r1 = addr_space_cast(r2, 1, 0)
r1 = addr_space_cast(r2, 0, 1)
