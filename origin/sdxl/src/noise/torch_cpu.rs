//! `torch.randn` on the CPU: MT19937 and two ways of making normal numbers of it
//! (`aten/src/ATen/native/cpu/DistributionTemplates.h`, `normal_fill` and below).

const N: usize = 624;
const M: usize = 397;
/// Fewer numbers than this are drawn one by one.
const FILL: usize = 16;

/// A generator in the state of `torch.Generator("cpu").manual_seed(seed)`.
#[derive(Clone, Debug)]
pub struct TorchCpuGenerator {
    state: [u32; N],
    next: usize,
    /// Box and Muller's second number, where one is left.
    left: Option<f64>,
}

impl TorchCpuGenerator {
    /// PyTorch takes the low half of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut state = [0; N];
        state[0] = seed as u32;
        for i in 1..N {
            let before: u32 = state[i - 1];
            state[i] = 1_812_433_253_u32
                .wrapping_mul(before ^ (before >> 30))
                .wrapping_add(i as u32);
        }
        Self {
            state,
            next: N,
            left: None,
        }
    }

    /// The next `count` normal numbers of one call of `torch.randn`.
    pub fn randn(&mut self, count: usize) -> Vec<f32> {
        if count < FILL {
            return (0..count).map(|_| self.normal() as f32).collect();
        }
        let mut numbers: Vec<f32> = (0..count).map(|_| self.uniform_24()).collect();
        for block in numbers.chunks_exact_mut(FILL) {
            fill(block);
        }
        // What is left over is drawn anew, with as many of those before it as make a block.
        if !count.is_multiple_of(FILL) {
            let block = &mut numbers[count - FILL..];
            for number in block.iter_mut() {
                *number = self.uniform_24();
            }
            fill(block);
        }
        numbers
    }

    fn next_word(&mut self) -> u32 {
        if self.next == N {
            self.twist();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9D2C_5680;
        word ^= (word << 15) & 0xEFC6_0000;
        word ^ (word >> 18)
    }

    fn twist(&mut self) {
        for i in 0..N {
            let word = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7FFF_FFFF);
            let odd = if word & 1 == 1 { 0x9908_B0DF } else { 0 };
            self.state[i] = self.state[(i + M) % N] ^ (word >> 1) ^ odd;
        }
        self.next = 0;
    }

    /// In 0 … 1, 24 bits.
    fn uniform_24(&mut self) -> f32 {
        (self.next_word() & 0x00FF_FFFF) as f32 / 16_777_216.0
    }

    /// In 0 … 1, 53 bits.
    fn uniform_53(&mut self) -> f64 {
        let high = u64::from(self.next_word());
        let word = (high << 32) | u64::from(self.next_word());
        (word & ((1 << 53) - 1)) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        if let Some(left) = self.left.take() {
            return left;
        }
        let (first, second) = (self.uniform_53(), self.uniform_53());
        let radius = libm::sqrt(-2.0 * libm::log1p(-second));
        let angle = std::f64::consts::TAU * first;
        self.left = Some(radius * libm::sin(angle));
        radius * libm::cos(angle)
    }
}

/// Box and Muller over a block: number j with number j + 8.
fn fill(block: &mut [f32]) {
    let (first, second) = block.split_at_mut(FILL / 2);
    for (a, b) in first.iter_mut().zip(second) {
        let radius = libm::sqrtf(-2.0 * libm::logf(1.0 - *a));
        let angle = std::f32::consts::TAU * *b;
        *a = radius * libm::cosf(angle);
        *b = radius * libm::sinf(angle);
    }
}
