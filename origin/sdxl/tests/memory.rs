//! A load needs the memory of what it leaves behind, and little more. Alone in its process: the
//! allocator counts for all of it.

mod support;

use darkroom_sdxl::{LoadOptions, Pipeline, Precision};
use peak_alloc::PeakAlloc;
use support::{demo_model, on_cpu};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Tokenizers, names, headers: what is no weight.
const BESIDE: usize = 6_000_000;

#[test]
fn a_load_peaks_at_little_more_than_what_it_keeps() {
    for precision in [Precision::F32, Precision::F16, Precision::Bf16] {
        let options = LoadOptions {
            precision,
            vae_precision: precision,
            ..on_cpu()
        };
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        let pipeline = Pipeline::load(&demo_model(), options).expect("the demo model");
        let kept = MEMORY.current_usage() - before;
        let peak = MEMORY.peak_usage() - before;
        assert!(
            peak <= kept + kept / 10 + BESIDE / 4,
            "{precision:?}: {peak} bytes for {kept} that are kept"
        );
        // The files are in f16: in that type they are used where they are mapped.
        if precision == Precision::F16 {
            assert!(kept < BESIDE, "{kept}");
        }
        drop(pipeline);
    }
}
