//! What has to be sent so that a backend holds what is declared.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    declared::{Declared, Stamp, adopted, declarations, managed},
    model::{Model, OnConflict},
    seen,
};
use crate::{
    convex::{
        Secret,
        env_var::{Changes, VarName, VarValue, Variables},
    },
    plugin::{Diagnostic, Private, value::Path},
};

/// What the state says of the time before.
#[derive(Debug, Default)]
pub struct Before {
    managed: BTreeSet<VarName>,
    adopted: BTreeSet<String>,
    stamps: BTreeMap<String, Stamp>,
    spared: BTreeSet<String>,
}

impl Before {
    /// From the prior state and what is kept beside it.
    pub fn of(prior: &Model, private: &Private) -> Self {
        let mut before = Self {
            managed: managed(prior),
            adopted: adopted(prior),
            stamps: declarations(prior, None)
                .into_iter()
                .map(|(name, declared)| (name, declared.stamp))
                .collect(),
            spared: BTreeSet::new(),
        };
        if let Some(last) = seen::last_set(private) {
            before.go_back_to(&last);
        }
        before
    }

    /// Undoes what waits: as of the last time the backend was reached. Values
    /// of then are not known any more.
    fn go_back_to(&mut self, last: &BTreeMap<String, Option<i64>>) {
        let names = last.keys().filter_map(|name| VarName::parse(name).ok());
        self.managed = names.collect();
        let stamps = last
            .iter()
            .map(|(name, version)| (name.clone(), Stamp::Version(*version)));
        self.stamps.extend(stamps);
    }

    /// Forgets what was set, which other data does not have.
    pub fn forget_values(&mut self) {
        self.stamps.clear();
    }

    /// The value that was set, where the state keeps it.
    pub fn value(&self, name: &str) -> Option<&Secret> {
        match self.stamps.get(name)? {
            Stamp::Value(value) => Some(value),
            Stamp::Version(_) => None,
        }
    }

    /// What to keep of it while a change waits. Of what was adopted, that which
    /// is `declared` anew may be set once the backend runs.
    pub fn last_set(&self, declared: &BTreeMap<String, Declared>) -> BTreeMap<String, Option<i64>> {
        let version = |name: &str| match self.stamps.get(name) {
            Some(Stamp::Version(version)) => *version,
            Some(Stamp::Value(_)) | None => None,
        };
        let set = self.managed.iter().map(VarName::as_str);
        let still = self.still_adopted(declared);
        let anew = self.adopted.iter().filter(|name| !still.contains(name));
        set.chain(anew.map(String::as_str))
            .map(|name| (name.to_owned(), version(name)))
            .collect()
    }

    /// The adopted names that are `declared` as before.
    pub fn still_adopted(&self, declared: &BTreeMap<String, Declared>) -> Vec<String> {
        let alike = |name: &&String| {
            let stamp = declared.get(*name).map(|it| &it.stamp);
            stamp.is_some() && self.stamps.get(*name) == stamp
        };
        self.adopted.iter().filter(alike).cloned().collect()
    }

    /// Counts what was adopted as declared anew where it may be overwritten now, so that it is set.
    pub fn allow(&mut self, on_conflict: OnConflict) {
        if on_conflict == OnConflict::Overwrite {
            self.stamps.retain(|name, _| !self.adopted.contains(name));
        }
    }

    /// Leaves names alone that are somebody else's now.
    pub fn spare<'a>(&mut self, names: impl IntoIterator<Item = &'a String>) {
        for name in names {
            self.managed.remove(name.as_str());
            self.spared.insert(name.clone());
        }
    }

    /// Whether `name` was declared in the same way.
    fn declared_alike(&self, name: &VarName, stamp: &Stamp) -> bool {
        self.stamps.get(name.as_str()) == Some(stamp)
    }

    /// What is to be removed when nothing is declared any more.
    pub fn managed(&self) -> &BTreeSet<VarName> {
        &self.managed
    }
}

/// What is to be sent, and what is left alone.
#[derive(Debug, Default)]
pub struct Batch {
    /// The changes.
    pub changes: Changes,
    /// Names that keep the value they had, though another one is declared.
    pub adopted: Vec<String>,
    /// Names that exist with another value and that nobody allowed to touch.
    pub conflicts: Vec<(String, Path)>,
    /// Names whose value is not kept anywhere and that the backend has lost.
    pub lost: Vec<(String, Path)>,
}

/// Works out the changes from what is `live` to what is `declared`.
///
/// Declarations without a value are kept as they are, and so are pinned ones
/// whose number is the same. With `exclusive` everything else that is live and
/// not spared is removed.
pub fn work_out(
    live: &BTreeMap<String, Secret>,
    declared: &BTreeMap<String, Declared>,
    before: &Before,
    on_conflict: OnConflict,
    exclusive: bool,
) -> Result<Batch, Diagnostic> {
    let mut batch = Batch::default();
    let mut desired = Variables::new();
    let mut removable = before.managed.clone();
    if exclusive {
        let names = live.keys().filter(|name| !before.spared.contains(*name));
        removable.extend(names.filter_map(|name| VarName::parse(name).ok()));
    }
    for (text, declared) in declared {
        let name = VarName::parse(text).map_err(|error| invalid(&declared.path, &error))?;
        removable.remove(&name);
        let current = live.get(text);
        let Some(value) = &declared.value else {
            if current.is_none() {
                batch.lost.push((text.clone(), declared.path.clone()));
            }
            continue;
        };
        if current == Some(value) {
            continue;
        }
        let ours = before.managed.contains(&name);
        let alike = before.declared_alike(&name, &declared.stamp);
        let was_adopted = before.adopted.contains(text);
        if current.is_some() {
            if ours && alike && declared.stamp.is_pinned() {
                continue;
            }
            if was_adopted && alike {
                batch.adopted.push(text.clone());
                continue;
            }
            if !ours && !was_adopted {
                match on_conflict {
                    OnConflict::Overwrite => {}
                    OnConflict::Adopt => {
                        batch.adopted.push(text.clone());
                        continue;
                    }
                    OnConflict::Fail => {
                        batch.conflicts.push((text.clone(), declared.path.clone()));
                        continue;
                    }
                }
            }
        }
        let value =
            VarValue::parse(value.clone()).map_err(|error| invalid(&declared.path, &error))?;
        desired.insert(name, value);
    }
    batch.changes = Changes::between(live, &desired, &removable);
    Ok(batch)
}

fn invalid(path: &Path, error: &dyn std::fmt::Display) -> Diagnostic {
    Diagnostic::error(format!("Invalid value for {path}"), error.to_string()).at(path.clone())
}

/// The diagnostic of a variable that is somebody else's.
pub fn conflict(object: &str, name: &str, path: &Path) -> Diagnostic {
    Diagnostic::error(
        format!("Variable {name} exists already"),
        format!(
            "{object} has a variable {name} with another value, and nothing says that it may be changed. Set on_conflict to \"overwrite\" to set it, or to \"adopt\" to leave it until another value is declared; or import it; or leave it out here. Nothing was changed."
        ),
    )
    .at(path.clone())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::{Before, OnConflict, Stamp, work_out};
    use crate::{
        convex::{Secret, env_var::VarName},
        plugin::value::Path,
        resources::env::declared::Declared,
    };

    fn declared(entries: &[(&str, &str, Option<i64>)]) -> BTreeMap<String, Declared> {
        entries
            .iter()
            .map(|(name, value, version)| {
                let declared = Declared {
                    path: Path::of("secrets").key(*name),
                    value: Some(Secret::from(*value)),
                    stamp: Stamp::Version(*version),
                };
                ((*name).to_owned(), declared)
            })
            .collect()
    }

    fn live(entries: &[(&str, &str)]) -> BTreeMap<String, Secret> {
        entries
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Secret::from(*value)))
            .collect()
    }

    fn before(managed: &[&str], adopted: &[&str], versions: &[(&str, Option<i64>)]) -> Before {
        Before {
            managed: managed
                .iter()
                .map(|name| VarName::parse(name).unwrap())
                .collect(),
            adopted: adopted.iter().map(|name| (*name).to_owned()).collect(),
            stamps: versions
                .iter()
                .map(|(name, version)| ((*name).to_owned(), Stamp::Version(*version)))
                .collect(),
            spared: BTreeSet::new(),
        }
    }

    fn body(
        live_now: &[(&str, &str)],
        entries: &[(&str, &str, Option<i64>)],
        before: &Before,
        on_conflict: OnConflict,
        exclusive: bool,
    ) -> (String, Vec<String>, Vec<String>) {
        let batch = work_out(
            &live(live_now),
            &declared(entries),
            before,
            on_conflict,
            exclusive,
        )
        .unwrap();
        let sets = batch
            .changes
            .sets()
            .map(|name| format!("+{}", name.as_str()));
        let unsets = batch
            .changes
            .unsets()
            .map(|name| format!("-{}", name.as_str()));
        let changes: Vec<_> = unsets.chain(sets).collect();
        let conflicts = batch.conflicts.into_iter().map(|(name, _)| name).collect();
        (changes.join(" "), batch.adopted, conflicts)
    }

    const NONE: Vec<String> = Vec::new();

    #[test]
    fn a_foreign_value_is_left_set_or_refused_as_wished() {
        let now = [("A", "theirs")];
        let ours = [("A", "ours", None)];
        let work = |on_conflict| body(&now, &ours, &Before::default(), on_conflict, false);
        assert_eq!(
            work(OnConflict::Fail),
            (String::new(), NONE, vec!["A".into()])
        );
        assert_eq!(
            work(OnConflict::Adopt),
            (String::new(), vec!["A".into()], NONE)
        );
        assert_eq!(work(OnConflict::Overwrite), ("+A".into(), NONE, NONE));
    }

    #[test]
    fn what_was_adopted_stays_until_it_is_declared_anew() {
        let now = [("A", "theirs")];
        let alike = before(&[], &["A"], &[("A", None)]);
        let work = |version| {
            let ours = [("A", "ours", version)];
            body(&now, &ours, &alike, OnConflict::Fail, false)
        };
        assert_eq!(work(None), (String::new(), vec!["A".into()], NONE));
        assert_eq!(work(Some(1)), ("+A".into(), NONE, NONE));
    }

    #[test]
    fn what_was_adopted_is_set_once_it_may_be_overwritten() {
        let (now, ours) = ([("A", "theirs")], [("A", "ours", Some(1))]);
        for (on_conflict, sent) in [
            (OnConflict::Fail, ""),
            (OnConflict::Adopt, ""),
            (OnConflict::Overwrite, "+A"),
        ] {
            let mut adopted = before(&[], &["A"], &[("A", Some(1))]);
            adopted.allow(on_conflict);
            let (changes, still, _) = body(&now, &ours, &adopted, on_conflict, false);
            assert_eq!(changes, sent, "{on_conflict:?}");
            assert_eq!(still.is_empty(), !sent.is_empty());
            // The same for a backend that does not run yet.
            let declared = declared(&ours);
            assert_eq!(adopted.still_adopted(&declared), still);
            assert_eq!(
                adopted.last_set(&declared).contains_key("A"),
                !sent.is_empty()
            );
        }
    }

    #[test]
    fn a_pinned_value_is_set_when_its_number_changes_or_when_it_is_gone() {
        let pinned = before(&["A"], &[], &[("A", Some(1))]);
        let work = |now: &[(&str, &str)], version| {
            let ours = [("A", "random", Some(version))];
            body(now, &ours, &pinned, OnConflict::Fail, false).0
        };
        assert_eq!(work(&[("A", "old")], 1), "");
        assert_eq!(work(&[("A", "old")], 2), "+A");
        assert_eq!(work(&[], 1), "+A");
    }

    #[test]
    fn only_an_exclusive_owner_removes_what_it_never_set() {
        let now = [("A", "1"), ("B", "1"), ("C", "1")];
        let ours = [("A", "1", None)];
        let managed = before(&["A", "B"], &[], &[]);
        let work = |exclusive| body(&now, &ours, &managed, OnConflict::Fail, exclusive).0;
        assert_eq!(work(false), "-B");
        assert_eq!(work(true), "-B -C");
    }

    #[test]
    fn what_something_else_sets_is_never_removed() {
        let now = [("A", "1"), ("B", "1"), ("C", "1")];
        let ours = [("A", "1", None)];
        let mut managed = before(&["A", "B"], &[], &[]);
        managed.spare(&["B".to_owned(), "C".to_owned()]);
        for exclusive in [false, true] {
            let (body, ..) = body(&now, &ours, &managed, OnConflict::Fail, exclusive);
            assert_eq!(body, "");
        }
    }

    #[test]
    fn a_value_that_nobody_keeps_stays_or_is_lost() {
        let mut ours = declared(&[("A", "", None)]);
        ours.get_mut("A").unwrap().value = None;
        let lost = |now: &[(&str, &str)]| {
            let before = Before::default();
            let batch = work_out(&live(now), &ours, &before, OnConflict::Fail, true).unwrap();
            assert!(batch.changes.is_empty());
            batch.lost.len()
        };
        assert_eq!(lost(&[("A", "live")]), 0);
        assert_eq!(lost(&[]), 1);
    }
}
