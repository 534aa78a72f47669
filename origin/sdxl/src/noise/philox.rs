//! Darkroom's own noise: Philox4x32-10 (Salmon et al. 2011).
//!
//! It is counter-based: block `b` of draw `d` is a pure function of the seed, so that a picture's
//! noise depends neither on its place in a batch nor on what was drawn before. The key is the
//! seed's low and high half, the counter `[b low, b high, d, 0]`. The four words of a block make
//! four normal numbers by Box and Muller: `u = (word + 1) / 2³²`, `r = √(−2 ln u₀)`, then
//! `r cos 2πu₁` and `r sin 2πu₁`, and the same with the other two words; worked out in f64 by
//! `libm`, not by the system's library.

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// Ten rounds of Philox4x32.
pub(super) fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..ROUNDS {
        let wide = |i: usize, word: u32| u64::from(MULTIPLIERS[i]) * u64::from(word);
        let (first, second) = (wide(0, counter[0]), wide(1, counter[2]));
        counter = [
            (second >> 32) as u32 ^ counter[1] ^ key[0],
            second as u32,
            (first >> 32) as u32 ^ counter[3] ^ key[1],
            first as u32,
        ];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

/// `count` normal numbers: draw number `draw` of a picture of that seed.
#[must_use]
pub fn normal(seed: u64, draw: u32, count: usize) -> Vec<f32> {
    let key = [seed as u32, (seed >> 32) as u32];
    let mut numbers = Vec::with_capacity(count + 3);
    for block in 0..count.div_ceil(4) as u64 {
        let words = philox([block as u32, (block >> 32) as u32, draw, 0], key);
        for pair in words.chunks_exact(2) {
            let unit = |word: u32| (f64::from(word) + 1.0) / 4_294_967_296.0;
            let radius = libm::sqrt(-2.0 * libm::log(unit(pair[0])));
            let angle = std::f64::consts::TAU * unit(pair[1]);
            numbers.push((radius * libm::cos(angle)) as f32);
            numbers.push((radius * libm::sin(angle)) as f32);
        }
    }
    numbers.truncate(count);
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of the generator's authors (Random123, `kat_vectors`).
    #[test]
    fn philox_gives_its_authors_answers() {
        assert_eq!(
            philox([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        assert_eq!(
            philox(pi, [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn noise_is_normal() {
        let numbers = normal(7, 0, 100_000);
        let mean = numbers.iter().sum::<f32>() / 100_000.0;
        let variance = numbers.iter().map(|x| x * x).sum::<f32>() / 100_000.0;
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
        assert!(numbers.iter().all(|x| x.is_finite()));
    }

    #[test]
    fn a_longer_draw_begins_like_a_shorter_one_and_draws_and_seeds_differ() {
        assert_eq!(normal(7, 0, 9)[..5], normal(7, 0, 5)[..]);
        assert_ne!(normal(7, 0, 4), normal(7, 1, 4));
        assert_ne!(normal(7, 0, 4), normal(8, 0, 4));
        assert_ne!(normal(7, 0, 4), normal(7 + (1 << 40), 0, 4));
    }
}
