//! Pictures steer runs: `ControlNet`s, T2I-Adapters; and previews by TAESD.

mod support;

use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use darkroom_sdxl::{
    Control, ControlModel, LoadOptions, Mask, Pipeline, Precision, Run, RunError, Start, StepDone,
};
use support::{fixtures, on_cpu, picture, pictures, tiny, tiny_run, waves};

static PIPELINE: LazyLock<Pipeline> = LazyLock::new(tiny);

fn load(name: &str) -> Arc<ControlModel> {
    let model = PIPELINE.load_control(&fixtures().join(name));
    Arc::new(model.expect("a control"))
}

fn plain() -> Run {
    tiny_run(&PIPELINE, "a fox")
}

fn steered(controls: Vec<Control>) -> Run {
    Run {
        controls,
        ..plain()
    }
}

fn control(name: &str) -> Control {
    Control::new(load(name), waves(64, 64))
}

#[test]
fn a_picture_steers_a_run_as_far_as_its_scale_says() {
    let without = picture(&PIPELINE, &plain());
    for name in ["controlnet", "t2i_adapter"] {
        let with = picture(&PIPELINE, &steered(vec![control(name)]));
        assert_ne!(with, without, "{name}");
        let other = Control {
            image: waves(64, 64).canny(100, 200).expect("edges"),
            ..control(name)
        };
        assert_ne!(picture(&PIPELINE, &steered(vec![other])), with, "{name}");
        let nothing = Control {
            scale: 0.0,
            ..control(name)
        };
        let unsteered = picture(&PIPELINE, &steered(vec![nothing]));
        assert_eq!(unsteered, without, "{name}");
    }
}

#[test]
fn a_picture_counts_only_between_its_start_and_its_end() {
    let without = picture(&PIPELINE, &plain());
    let between = |start, end| {
        let control = Control {
            start,
            end,
            ..control("controlnet")
        };
        picture(&PIPELINE, &steered(vec![control]))
    };
    // Of four steps none lies whole in this.
    assert_eq!(between(0.1, 0.4), without);
    assert_ne!(between(0.0, 0.5), without);
    assert_ne!(between(0.0, 0.5), between(0.5, 1.0));
}

#[test]
fn an_adapter_counts_for_as_many_evaluations_as_its_share_of_the_steps_says() {
    let adapted = |scheduler: &str, end| Run {
        scheduler: scheduler.to_owned(),
        ..steered(vec![Control {
            end,
            ..control("t2i_adapter")
        }])
    };
    let without = picture(&PIPELINE, &plain());
    let euler = &plain().scheduler;
    assert_eq!(picture(&PIPELINE, &adapted(euler, 0.0)), without);
    assert_eq!(picture(&PIPELINE, &adapted(euler, 0.24)), without);
    assert_ne!(picture(&PIPELINE, &adapted(euler, 0.25)), without);
    // Four of Heun's seven: what was not steered goes on to the same bytes from there, and not
    // from one before.
    let run = adapted("heun", 1.0);
    let mut states = Vec::new();
    let whole = PIPELINE.run(&run, &mut |done| {
        states.push(done.state().expect("a state"));
        ControlFlow::Continue(())
    });
    let whole = whole.expect("a picture");
    let unsteered = Run {
        controls: Vec::new(),
        ..run
    };
    let go_on = &mut |_: &StepDone<'_>| ControlFlow::Continue(());
    let mut rest = |done: usize| {
        let rest = PIPELINE.resume(&unsteered, &states[done - 1], go_on);
        rest.expect("a picture")
    };
    assert_eq!(rest(4), whole);
    assert_ne!(rest(3), whole);
}

#[test]
fn a_net_that_tells_all_pixels_the_same_guesses_unless_it_inpaints() {
    let run = steered(vec![control("controlnet_pool")]);
    let guesses = |start: Start| {
        let asked = |guess_mode| Run {
            guess_mode,
            start: start.clone(),
            ..run.clone()
        };
        picture(&PIPELINE, &asked(false)) == picture(&PIPELINE, &asked(true))
    };
    let (image, strength) = (waves(64, 64), 0.8);
    let mask = Mask {
        width: 64,
        height: 64,
        values: vec![255; 64 * 64],
    };
    assert!(guesses(Start::Noise));
    assert!(guesses(Start::Image {
        image: image.clone(),
        strength,
    }));
    assert!(!guesses(Start::Inpaint {
        image,
        mask,
        strength,
    }));
}

#[test]
fn several_pictures_steer_together() {
    let both = steered(vec![control("controlnet"), control("t2i_adapter")]);
    let picture_of_both = picture(&PIPELINE, &both);
    for name in ["controlnet", "t2i_adapter"] {
        let one = picture(&PIPELINE, &steered(vec![control(name)]));
        assert_ne!(picture_of_both, one, "{name}");
    }
}

#[test]
fn a_steered_run_goes_on_from_a_saved_state_to_the_same_bytes() {
    let run = steered(vec![control("controlnet"), control("t2i_adapter")]);
    let whole = picture(&PIPELINE, &run);
    let mut state = None;
    let broken_off = PIPELINE.run(&run, &mut |done: &StepDone<'_>| {
        if done.step == 2 {
            state = Some(done.state().expect("a state"));
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    assert!(matches!(broken_off, Err(RunError::Canceled)));
    let state = state.expect("a state");
    let go_on = &mut |_: &StepDone<'_>| ControlFlow::Continue(());
    let rest = PIPELINE.resume(&run, &state, go_on).expect("a picture");
    assert_eq!(rest, [whole]);
}

#[test]
fn what_cannot_steer_is_refused_by_name() {
    let refused = |control: Control| {
        let error = pictures(&PIPELINE, &steered(vec![control]));
        let Err(RunError::Invalid { field, message }) = error else {
            panic!("{error:?}");
        };
        format!("{field}: {message}")
    };
    let small = Control {
        image: waves(56, 64),
        ..control("controlnet")
    };
    let small = refused(small);
    assert!(small.contains("control_image: must be 64×64"), "{small}");
    let backwards = Control {
        start: 0.6,
        end: 0.5,
        ..control("controlnet")
    };
    let backwards = refused(backwards);
    assert!(backwards.contains("control_start"), "{backwards}");
    let endless = Control {
        scale: f64::NAN,
        ..control("controlnet")
    };
    let endless = refused(endless);
    assert!(
        endless.contains("control_scale: must be a number"),
        "{endless}"
    );
    // An adapter takes squares of 16 pixels.
    let odd = Run {
        width: 72,
        controls: vec![Control::new(load("t2i_adapter"), waves(72, 64))],
        ..plain()
    };
    let odd = pictures(&PIPELINE, &odd).expect_err("refused").to_string();
    assert!(odd.contains("width: must be a multiple of 16"), "{odd}");
}

#[test]
fn a_control_in_another_type_of_number_is_refused() {
    let options = LoadOptions {
        precision: Precision::F16,
        ..on_cpu()
    };
    let halves = Pipeline::load(&fixtures().join("pipeline"), options).expect("a model");
    for name in ["controlnet", "t2i_adapter"] {
        let model = halves.load_control(&fixtures().join(name));
        let model = Arc::new(model.expect("a control"));
        let run = steered(vec![Control::new(model, waves(64, 64))]);
        let refused = pictures(&PIPELINE, &run).expect_err("refused").to_string();
        assert!(refused.contains("control: was loaded in F16"), "{refused}");
        assert!(refused.contains("load it with this model"), "{refused}");
    }
}

#[test]
fn taesd_previews_have_the_pictures_size() {
    let taesd = fixtures().join("taesd");
    let options = LoadOptions {
        taesd: Some(&taesd),
        ..on_cpu()
    };
    let model = fixtures().join("pipeline");
    let pipeline = Pipeline::load(&model, options).expect("a model");
    let run = tiny_run(&pipeline, "a fox");
    let mut previews = Vec::new();
    let pictures = pipeline.run(&run, &mut |done| {
        previews.push(done.preview().expect("a preview"));
        ControlFlow::Continue(())
    });
    assert_eq!(pictures.expect("a picture"), [picture(&PIPELINE, &run)]);
    assert_eq!(previews.len(), 4);
    for preview in &previews {
        assert_eq!((preview.width, preview.height), (64, 64));
    }
    assert_ne!(previews[0], previews[3]);
}
