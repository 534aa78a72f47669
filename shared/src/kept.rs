//! Things kept in memory for a while: not more of them than agreed, and none past its time.

use std::collections::HashMap;

use crate::timestamp::UnixMillis;

/// Values by name, each with an end.
#[derive(Clone, Debug)]
pub struct Kept<V> {
    room: usize,
    values: HashMap<String, (V, UnixMillis)>,
}

impl<V> Kept<V> {
    /// Room for so many values.
    #[must_use]
    pub fn with_room(room: usize) -> Self {
        Self {
            room,
            values: HashMap::new(),
        }
    }

    /// What is kept under a name at the time `now`.
    #[must_use]
    pub fn get(&self, name: &str, now: UnixMillis) -> Option<&V> {
        let (value, until) = self.values.get(name)?;
        (now < *until).then_some(value)
    }

    /// Keeps a value until a moment. Where there is no room, what has ended makes some; where that
    /// is not enough, so does what ends sooner than most.
    pub fn put(&mut self, name: String, value: V, until: UnixMillis, now: UnixMillis) {
        if self.values.len() >= self.room && !self.values.contains_key(&name) {
            self.make_room(now);
        }
        self.values.insert(name, (value, until));
    }

    /// Many at once: to look for the one that ends first costs as much as to look at all.
    fn make_room(&mut self, now: UnixMillis) {
        self.values.retain(|_, (_, until)| now < *until);
        if self.values.len() < self.room {
            return;
        }
        let ends = self.values.values().map(|(_, until)| *until);
        let mean = ends.sum::<UnixMillis>() / self.values.len().max(1) as UnixMillis;
        self.values.retain(|_, (_, until)| *until > mean);
    }

    /// Forgets all values of which `forget` says so.
    pub fn forget(&mut self, forget: impl Fn(&V) -> bool) {
        self.values.retain(|_, (value, _)| !forget(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_kept_until_its_end() {
        let mut kept = Kept::with_room(2);
        kept.put("a".into(), 1, 10, 0);
        assert_eq!(kept.get("a", 9), Some(&1));
        assert_eq!(kept.get("a", 10), None);
        kept.put("a".into(), 2, 20, 10);
        assert_eq!(kept.get("a", 10), Some(&2));
        kept.forget(|value| *value == 2);
        assert_eq!(kept.get("a", 10), None);
    }

    #[test]
    fn what_has_ended_makes_room_first() {
        let mut kept = Kept::with_room(2);
        kept.put("a".into(), 1, 10, 0);
        kept.put("b".into(), 2, 5, 0);
        kept.put("c".into(), 3, 10, 5);
        assert_eq!(kept.get("a", 5), Some(&1));
        assert_eq!((kept.get("b", 5), kept.get("c", 5)), (None, Some(&3)));
    }

    #[test]
    fn of_what_is_live_what_ends_soonest_makes_room() {
        let mut kept = Kept::with_room(4);
        for (name, until) in [("a", 40), ("b", 10), ("c", 30), ("d", 20)] {
            kept.put(name.into(), until, until, 0);
        }
        kept.put("e".into(), 50, 50, 0);
        let names = ["a", "b", "c", "d", "e"].map(|name| kept.get(name, 0).is_some());
        assert_eq!(names, [true, false, true, false, true]);
        // What is kept already needs no room.
        kept.put("f".into(), 50, 50, 0);
        kept.put("a".into(), 41, 41, 0);
        assert_eq!((kept.get("a", 0), kept.get("c", 0)), (Some(&41), Some(&30)));
    }

    #[test]
    fn there_is_room_for_the_newest_whatever_the_ends() {
        for room in 1..5 {
            let mut kept = Kept::with_room(room);
            for name in 0..20 {
                kept.put(name.to_string(), name, 10, 0);
                assert_eq!(kept.get(&name.to_string(), 0), Some(&name));
                assert!(kept.values.len() <= room);
            }
        }
    }
}
