//! What a plan says of the variables for signing in.

use super::{
    model::{AuthModel, auth_names},
    seen::{self, Seen},
};
use crate::{
    convex::{AuthKeys, Secret},
    plugin::{Config, Diagnostic, Known, Plan, value::Path},
    resources::imported,
};

/// The names that `auth` declares in a configuration.
pub fn declared_names(config: Config<'_>) -> Vec<(String, Path)> {
    let given = |name: &str| match name {
        auth_names::SITE_URL => config.has("auth.site_url"),
        auth_names::CUSTOM_SITE_URL => config.has("auth.custom_site_url"),
        _ => true,
    };
    auth_names::ALL
        .into_iter()
        .filter(|name| config.has("auth") && given(name))
        .map(|name| (name.to_owned(), Path::of("auth")))
        .collect()
}

/// The names that a plan of `auth` declares and its configuration does not.
pub fn derived_names(plan: &Plan<'_>) -> Option<(String, Path)> {
    let path = Path::of("auth").attribute("custom_site_url");
    let derives = plan.config().has("auth")
        && !plan.config().has(path.clone())
        && plan.planned::<Option<String>>(path) != Known::Known(None);
    derives.then(|| (auth_names::CUSTOM_SITE_URL.to_owned(), Path::of("auth")))
}

/// Plans what `auth` does not give.
pub fn plan(plan: &mut Plan<'_>, seen: &Seen) {
    let prior = plan.prior::<AuthModel>("auth");
    site_origin(plan, seen, prior.as_ref());
    if !plan.config().has("auth.issuer") {
        match plan.planned::<Option<String>>("auth.site_origin") {
            Known::Known(origin) => plan.set("auth.issuer", &origin),
            Known::Unknown => plan.set_unknown("auth.issuer"),
        }
    }
    custom_site_url(plan, seen, prior.as_ref());
    let triggered = prior.is_some() && plan.changes("auth.rotate_trigger");
    let rotates = triggered && !imported::is_fresh(plan.private());
    if rotates {
        warn_of_rotation(plan);
    } else if triggered {
        plan.report(
            Diagnostic::warning(
                "The imported signing key is kept",
                "auth.rotate_trigger is set for the first time after the import, and describes the imported key. To replace that key, apply this plan, then change auth.rotate_trigger again.",
            )
            .at("auth.rotate_trigger"),
        );
    }
    keys(plan, seen, prior, rotates);
}

fn site_origin(plan: &mut Plan<'_>, seen: &Seen, prior: Option<&AuthModel>) {
    if plan.config().has("auth.site_origin") {
        return;
    }
    let before = prior.map(|it| it.site_origin.as_ref());
    match (&seen.traits, before) {
        // Nobody could find it out, and nothing has changed since.
        (_, Some(None)) if seen.is_stopped() => plan.set("auth.site_origin", &None::<String>),
        (Some(Known::Known(traits)), _) => plan.set("auth.site_origin", &traits.site_origin),
        // A deployment at a URL, which told it when it was first asked.
        (None, Some(Some(before))) => plan.set("auth.site_origin", before),
        _ => plan.set_unknown("auth.site_origin"),
    }
}

fn custom_site_url(plan: &mut Plan<'_>, seen: &Seen, prior: Option<&AuthModel>) {
    if plan.config().has("auth.custom_site_url") {
        return;
    }
    match declared_by_hand(plan.config(), auth_names::CUSTOM_SITE_URL) {
        Known::Known(true) => return plan.set("auth.custom_site_url", &None::<String>),
        Known::Known(false) => {}
        Known::Unknown => return plan.set_unknown("auth.custom_site_url"),
    }
    let before = prior.and_then(|it| it.custom_site_url.clone());
    if seen.is_stopped() && prior.is_some_and(|it| it.site_origin.is_none()) {
        // As with the site origin: nobody could find it out.
        return plan.set("auth.custom_site_url", &None::<String>);
    }
    match &seen.traits {
        Some(Known::Known(traits)) => plan.set("auth.custom_site_url", &traits.custom_site),
        // Nobody here knows: it stays as it was found out, or is not set.
        None if plan.config().has("url") || prior.is_some() => {
            plan.set("auth.custom_site_url", &before);
        }
        Some(Known::Unknown) | None => plan.set_unknown("auth.custom_site_url"),
    }
}

/// Whether a variable of `auth` is declared in another attribute, which then
/// decides.
fn declared_by_hand(config: Config<'_>, name: &str) -> Known<bool> {
    let maps = ["variables", "secrets"].map(|map| config.given(Path::of(map).key(name)));
    match maps {
        [Known::NO, Known::NO] => Known::NO,
        maps if maps.contains(&Known::YES) => Known::YES,
        _ => Known::Unknown,
    }
}

fn warn_of_rotation(plan: &mut Plan<'_>) {
    for path in ["auth.private_key", "auth.private_key_wo"] {
        if plan.config().has(path) {
            plan.report(
                Diagnostic::error(
                    "A given key is not rotated",
                    format!("auth.rotate_trigger replaces the key that is generated when none is given, and {path} gives one. Remove one of the two; a given key is replaced by giving another."),
                )
                .at("auth.rotate_trigger"),
            );
            return;
        }
    }
    plan.report(
        Diagnostic::warning(
            "Sign-in tokens are signed with a new key",
            "auth.rotate_trigger has changed: JWT_PRIVATE_KEY and JWKS are replaced in one batch. The backend accepts tokens signed with the old key for up to 15 s more, and may refuse tokens of the new one for about 3 s. Clients of @convex-dev/auth get new tokens with their refresh tokens, so users stay signed in. Programs that kept a token must sign in again.",
        )
        .at("auth.rotate_trigger"),
    );
}

fn keys(plan: &mut Plan<'_>, seen: &Seen, prior: Option<AuthModel>, rotates: bool) {
    let stopped = seen.is_stopped();
    if plan.config().has("auth.private_key") {
        let key = plan.planned::<Option<Secret>>("auth.private_key");
        return public_half(plan, key, None);
    }
    if plan.config().has("auth.private_key_wo") {
        plan.set("auth.private_key", &None::<String>);
        let key = plan.config().get::<Option<Secret>>("auth.private_key_wo");
        let own = seen::own_jwks(plan.private());
        return public_half(plan, key, own.as_ref());
    }
    match plan.planned::<Option<bool>>("secrets_in_state") {
        Known::Known(Some(false)) => {
            plan.set("auth.private_key", &None::<String>);
            let lost = plan
                .prior::<Vec<String>>("drifted")
                .unwrap_or_default()
                .iter()
                .any(|name| name == auth_names::PRIVATE_KEY);
            let own = prior.and_then(|_| seen::own_jwks(plan.private()));
            match own {
                Some(own) if !rotates && !lost && !seen.other_data => plan.set("auth.jwks", &own),
                // A key that nobody keeps is only made to be sent.
                _ if stopped => plan.set("auth.jwks", &None::<String>),
                _ => plan.set_unknown("auth.jwks"),
            }
        }
        // Nobody knows whether it may be kept before the backend starts.
        Known::Known(None) if stopped => {
            plan.set("auth.private_key", &None::<String>);
            plan.set("auth.jwks", &None::<String>);
        }
        Known::Known(_) => match prior.and_then(|prior| prior.private_key) {
            Some(key) if !rotates => {
                plan.set("auth.private_key", &key);
                public_half(plan, Known::Known(Some(key)), None);
            }
            _ => {
                plan.set_unknown("auth.private_key");
                plan.set_unknown("auth.jwks");
            }
        },
        Known::Unknown => {
            plan.set_unknown("auth.private_key");
            plan.set_unknown("auth.jwks");
        }
    }
}

/// Plans the public key that goes with a private one. A key that may be another
/// in each run only shows that it is another.
fn public_half(plan: &mut Plan<'_>, key: Known<Option<Secret>>, own: Option<&String>) {
    let jwks = key
        .known()
        .flatten()
        .and_then(|pem| AuthKeys::parse(pem.expose()).ok())
        .map(|keys| keys.jwks());
    let write_only = plan.config().has("auth.private_key_wo");
    match jwks {
        Some(jwks) if !write_only || own == Some(&jwks) => plan.set("auth.jwks", &jwks),
        _ => plan.set_unknown("auth.jwks"),
    }
}
