//! The batch that turns the variables of a deployment into the declared ones.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use super::super::secret::Secret;
use super::{VarName, Variables};

/// The smallest batch that makes a deployment hold what is declared.
///
/// It serialises to the body of `POST /api/update_environment_variables`. Unsets come first, as
/// the backend applies them, and names are in order, so the same change is always the same text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    unsets: BTreeSet<VarName>,
    sets: BTreeMap<VarName, Secret>,
}

impl Changes {
    /// The changes from what is `live` to what is `desired`.
    ///
    /// A desired variable is set where it is absent or differs. A variable that was declared when
    /// it was last applied (`managed_before`) and no longer is, is unset where it is still live.
    /// All other live variables are left alone.
    #[must_use]
    pub fn between(
        live: &BTreeMap<String, Secret>,
        desired: &Variables,
        managed_before: &BTreeSet<VarName>,
    ) -> Self {
        let differs = |name: &VarName, value| live.get(name.as_str()) != Some(value);
        let sets = desired
            .iter()
            .map(|(name, value)| (name, value.as_secret()))
            .filter(|(name, value)| differs(name, value))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let unsets = managed_before
            .iter()
            .filter(|name| !desired.contains_key(*name) && live.contains_key(name.as_str()))
            .cloned()
            .collect();
        Self { unsets, sets }
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.unsets.is_empty() && self.sets.is_empty()
    }

    /// The names that are unset, in order.
    pub fn unsets(&self) -> impl Iterator<Item = &VarName> {
        self.unsets.iter()
    }

    /// The names that are set, in order.
    pub fn sets(&self) -> impl Iterator<Item = &VarName> {
        self.sets.keys()
    }

    /// All names of the batch, in order.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&VarName> {
        self.unsets.iter().chain(self.sets.keys()).collect()
    }

    /// What is live once the batch is applied; see [`check_limits`](super::check_limits).
    #[must_use]
    pub fn result(&self, live: &BTreeMap<String, Secret>) -> BTreeMap<String, Secret> {
        let mut result = live.clone();
        for name in &self.unsets {
            result.remove(name.as_str());
        }
        for (name, value) in &self.sets {
            result.insert(name.as_str().to_owned(), value.clone());
        }
        result
    }

    /// The body of the request.
    #[must_use]
    pub fn body(&self) -> Secret {
        Secret::from(serde_json::json!(self).to_string())
    }
}

impl Serialize for Changes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Change<'a> {
            name: &'a str,
            value: Option<&'a str>,
        }
        let unsets = self.unsets.iter().map(|name| (name, None));
        let sets = self
            .sets
            .iter()
            .map(|(name, value)| (name, Some(value.expose())));
        let changes: Vec<Change<'_>> = unsets
            .chain(sets)
            .map(|(name, value)| Change {
                name: name.as_str(),
                value,
            })
            .collect();
        let mut body = serializer.serialize_struct("Changes", 1)?;
        body.serialize_field("changes", &changes)?;
        body.end()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::VarValue;
    use super::*;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn live(pairs: Pairs<'_>) -> BTreeMap<String, Secret> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Secret::from(*value)))
            .collect()
    }

    fn declared(pairs: Pairs<'_>) -> Variables {
        let name = |name| VarName::parse(name).unwrap();
        pairs
            .iter()
            .map(|(n, value)| (name(n), VarValue::parse(*value).unwrap()))
            .collect()
    }

    fn names(names: &[&str]) -> BTreeSet<VarName> {
        names
            .iter()
            .map(|name| VarName::parse(name).unwrap())
            .collect()
    }

    #[test]
    fn only_what_differs_is_sent_and_unsets_come_first() {
        let live = live(&[("A", "1"), ("B", "2"), ("C", "3"), ("FOREIGN", "x")]);
        let desired = declared(&[("A", "1"), ("B", "new"), ("D", "a\"b\n")]);
        let changes = Changes::between(&live, &desired, &names(&["A", "B", "C", "GONE"]));
        assert_eq!(
            changes.body().expose(),
            r#"{"changes":[{"name":"C","value":null},{"name":"B","value":"new"},{"name":"D","value":"a\"b\n"}]}"#
        );
        assert_eq!(
            changes.body().expose(),
            serde_json::to_string(&changes).unwrap()
        );
        assert_eq!(changes.names(), names(&["B", "C", "D"]).iter().collect());
        assert_eq!(
            changes.sets().map(VarName::as_str).collect::<Vec<_>>(),
            ["B", "D"]
        );
        assert_eq!(
            changes.unsets().map(VarName::as_str).collect::<Vec<_>>(),
            ["C"]
        );
        assert!(!format!("{changes:?}").contains("new"));
    }

    #[test]
    fn nothing_to_do_is_an_empty_batch() {
        let live = live(&[("A", ""), ("FOREIGN", "x")]);
        let changes = Changes::between(&live, &declared(&[("A", "")]), &names(&["A"]));
        assert!(changes.is_empty());
        assert_eq!(changes.body().expose(), r#"{"changes":[]}"#);
        assert_eq!(changes.result(&live), live);
    }

    #[test]
    fn an_empty_value_is_set_where_the_variable_is_absent() {
        let changes = Changes::between(&live(&[]), &declared(&[("A", "")]), &names(&[]));
        assert_eq!(
            changes.body().expose(),
            r#"{"changes":[{"name":"A","value":""}]}"#
        );
    }

    fn pairs() -> impl Strategy<Value = BTreeMap<String, String>> {
        proptest::collection::btree_map("[A-E]", "[xy]{0,2}", 0..5)
    }

    proptest! {
        #[test]
        fn the_batch_leads_to_the_declared_state_and_leaves_the_rest(
            live in pairs(), desired in pairs(), managed in proptest::collection::btree_set("[A-E]", 0..5),
        ) {
            let live: BTreeMap<String, Secret> =
                live.into_iter().map(|(name, value)| (name, Secret::from(value))).collect();
            let desired: Variables = desired
                .into_iter()
                .map(|(n, value)| (VarName::parse(&n).unwrap(), VarValue::parse(value).unwrap()))
                .collect();
            let managed: BTreeSet<VarName> =
                managed.iter().map(|name| VarName::parse(name).unwrap()).collect();
            let changes = Changes::between(&live, &desired, &managed);
            let result = changes.result(&live);
            for (name, value) in &desired {
                prop_assert_eq!(result.get(name.as_str()), Some(value.as_secret()));
            }
            for name in live.keys().chain(result.keys()) {
                let declared = desired.contains_key(name.as_str());
                if !declared && managed.contains(name.as_str()) {
                    prop_assert!(!result.contains_key(name));
                } else if !declared {
                    prop_assert_eq!(result.get(name), live.get(name));
                }
            }
            prop_assert!(Changes::between(&result, &desired, &managed).is_empty());
            let body: serde_json::Value = serde_json::from_str(changes.body().expose()).unwrap();
            prop_assert_eq!(body["changes"].as_array().unwrap().len(), changes.names().len());
        }
    }
}
