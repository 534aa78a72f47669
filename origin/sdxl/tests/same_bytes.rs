//! The same run makes the same bytes: alone, beside others, and after a break.

mod support;

use std::ops::ControlFlow;

use darkroom_sdxl::noise::NoiseSource;
use darkroom_sdxl::scheduler::Steps;
use darkroom_sdxl::{Pipeline, Run, RunError, RunState, Start};
use support::{picture, pictures, tiny, tiny_run};

#[test]
fn a_picture_is_the_same_alone_in_a_batch_and_beside_other_runs() {
    let pipeline = tiny();
    let run = Run {
        seed: 5,
        images: 3,
        scheduler: "euler_a".to_owned(),
        ..tiny_run(&pipeline, "a red fox")
    };
    let batch = pictures(&pipeline, &run).expect("pictures");
    let alone = |seed| Run {
        seed,
        images: 1,
        ..run.clone()
    };
    std::thread::scope(|scope| {
        let runs = [5, 6, 7].map(|seed| {
            scope.spawn({
                let (pipeline, run) = (&pipeline, alone(seed));
                move || picture(pipeline, &run)
            })
        });
        for (run, expected) in runs.into_iter().zip(&batch) {
            assert_eq!(&run.join().expect("a picture"), expected);
        }
    });
    assert_ne!(batch[0], batch[1]);
}

#[test]
fn a_picture_is_the_same_with_texts_that_were_encoded_ahead() {
    let pipeline = tiny();
    let run = Run {
        negative_prompt: Some("blurred".to_owned()),
        ..tiny_run(&pipeline, "a red fox")
    };
    let expected = picture(&pipeline, &run);
    // Beside another run, as where the next one is made ready.
    let text = std::thread::scope(|scope| {
        let text = scope.spawn(|| pipeline.encode_text(&run));
        assert_eq!(picture(&pipeline, &run), expected);
        text.join().expect("a thread").expect("texts")
    });
    let ahead = Run {
        text: Some(text),
        ..run.clone()
    };
    assert_eq!(picture(&pipeline, &ahead), expected);
    let other = Run {
        prompt: "a star".to_owned(),
        ..ahead
    };
    assert_eq!(picture(&pipeline, &other), expected, "words are read once");
}

#[test]
fn every_generator_gives_a_seed_another_picture() {
    let pipeline = tiny();
    let with = |noise| {
        let run = Run {
            noise,
            seed: 3,
            scheduler: "euler_a".to_owned(),
            ..tiny_run(&pipeline, "a red fox")
        };
        let first = picture(&pipeline, &run);
        assert_eq!(first, picture(&pipeline, &run));
        first
    };
    let all = [
        NoiseSource::Philox,
        NoiseSource::TorchCpu,
        NoiseSource::TorchCuda,
    ]
    .map(with);
    assert_ne!(all[0], all[1]);
    assert_ne!(all[0], all[2]);
    assert_ne!(all[1], all[2]);
}

#[test]
fn every_scheduler_makes_a_picture_and_goes_on_where_it_stopped_to_the_same_bytes() {
    let pipeline = tiny();
    for noise in [NoiseSource::Philox, NoiseSource::TorchCpu] {
        for scheduler in Pipeline::SCHEDULERS {
            let run = Run {
                scheduler: (*scheduler).to_owned(),
                noise,
                images: 2,
                seed: 8,
                ..tiny_run(&pipeline, "oil on canvas")
            };
            let whole = pictures(&pipeline, &run).expect(scheduler);
            let mut saved = None;
            let stopped = pipeline.run(&run, &mut |done| {
                if done.image == 1 && done.step == 2 {
                    saved = Some(done.state().expect("a state").to_bytes().expect("bytes"));
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            });
            assert!(matches!(stopped, Err(RunError::Canceled)), "{scheduler}");
            let state = RunState::from_bytes(&saved.expect("saved")).expect("a state");
            let rest = pipeline.resume(&run, &state, &mut |_| ControlFlow::Continue(()));
            assert_eq!(rest.expect("the rest"), whole[1..], "{scheduler} {noise:?}");
        }
    }
}

#[test]
fn a_run_can_be_canceled_after_any_step() {
    let pipeline = tiny();
    let mut seen = Vec::new();
    let result = pipeline.run(&tiny_run(&pipeline, "a star"), &mut |done| {
        seen.push((done.step, done.steps));
        if done.step == 3 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert!(matches!(result, Err(RunError::Canceled)));
    assert_eq!(seen, [(1, 4), (2, 4), (3, 4)]);
}

#[test]
fn a_state_of_another_run_is_refused() {
    let pipeline = tiny();
    let run = tiny_run(&pipeline, "a star");
    let mut saved = None;
    pipeline
        .run(&run, &mut |done| {
            saved = Some(done.state().expect("a state"));
            ControlFlow::Continue(())
        })
        .expect("a picture");
    let state = saved.expect("saved");
    let wider = Run { width: 96, ..run };
    let refused = pipeline.resume(&wider, &state, &mut |_| ControlFlow::Continue(()));
    assert!(matches!(refused, Err(RunError::State(_))), "{refused:?}");
    let none = Run {
        images: 0,
        ..tiny_run(&pipeline, "a star")
    };
    let refused = pipeline.resume(&none, &state, &mut |_| ControlFlow::Continue(()));
    assert!(matches!(refused, Err(RunError::State(_))), "{refused:?}");
    let bytes = state.to_bytes().expect("bytes");
    for broken in [&bytes[..20], &bytes[..bytes.len() - 4], b"{}"] {
        assert!(matches!(
            RunState::from_bytes(broken),
            Err(RunError::State(_))
        ));
    }
}

#[test]
fn two_halves_are_a_whole() {
    let pipeline = tiny();
    let run = Run {
        steps: Steps::Count(8),
        ..tiny_run(&pipeline, "a red fox")
    };
    let first = Run {
        denoising_end: Some(0.5),
        ..run.clone()
    };
    let latents = pipeline.latents(&first, &mut |_| ControlFlow::Continue(()));
    let latents = latents.expect("latents");
    let second = Run {
        denoising_start: Some(0.5),
        start: Start::Latents(latents),
        ..run.clone()
    };
    assert_eq!(picture(&pipeline, &second), picture(&pipeline, &run));
}
