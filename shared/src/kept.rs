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

    /// Keeps a value until a moment. Where there is no room, what has ended makes some; where
    /// that is not enough, the value is not kept, so that a flood of names drives nothing out.
    pub fn put(&mut self, name: String, value: V, until: UnixMillis, now: UnixMillis) {
        let is_full = |kept: &Self| kept.values.len() >= kept.room;
        if is_full(self) && !self.values.contains_key(&name) {
            self.values.retain(|_, (_, until)| now < *until);
            if is_full(self) {
                return;
            }
        }
        self.values.insert(name, (value, until));
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
    fn a_flood_drives_nothing_out() {
        let mut kept = Kept::with_room(2);
        kept.put("a".into(), 1, 10, 0);
        kept.put("b".into(), 2, 5, 0);
        kept.put("c".into(), 3, 10, 0);
        assert_eq!((kept.get("a", 0), kept.get("c", 0)), (Some(&1), None));
        // The end of one makes room for another.
        kept.put("c".into(), 3, 10, 5);
        assert_eq!((kept.get("b", 5), kept.get("c", 5)), (None, Some(&3)));
    }
}
