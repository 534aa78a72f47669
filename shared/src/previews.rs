//! After which steps of a picture there is a preview of it.

/// Whether there is one after step `step` (from 1) of `steps`, where `previews` are asked for:
/// spread evenly, none after the last step; after each step where there are too few for that.
#[must_use]
pub fn is_due(step: u32, steps: u32, previews: u32) -> bool {
    let parts = previews + 1;
    if previews >= steps {
        return (1..=steps).contains(&step);
    }
    (1..parts).any(|part| part * steps / parts == step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(steps: u32, previews: u32) -> Vec<u32> {
        let steps_due = 0..=steps + 1;
        steps_due
            .filter(|step| is_due(*step, steps, previews))
            .collect()
    }

    #[test]
    fn they_are_spread_over_the_steps() {
        assert!(due(20, 0).is_empty());
        assert_eq!(due(20, 1), [10]);
        assert_eq!(due(20, 3), [5, 10, 15]);
        assert_eq!(due(30, 2), [10, 20]);
    }

    #[test]
    fn there_are_as_many_as_asked_or_as_there_are_steps() {
        for steps in 1..=150 {
            for previews in 0..=3 {
                let due = due(steps, previews);
                assert_eq!(due.len() as u32, previews.min(steps), "{steps} {previews}");
                assert!(due.iter().all(|step| (1..=steps).contains(step)));
            }
        }
    }
}
