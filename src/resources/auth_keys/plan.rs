//! What a plan says of a key pair.

use super::model::{FROM_PAIR, Model};
use crate::{
    convex::{
        AuthKeys, Secret,
        auth_keys::{BetterAuthSecret, KeySize},
    },
    plugin::{Config, Diagnostic, Diagnostics, Known, Plan, value::Path},
    resources::imported,
};

/// Checks beyond those of single attributes.
pub fn check(config: Config<'_>) -> Diagnostics {
    let both = ["better_auth_secret", "better_auth_secret_wo"].map(|path| config.given(path));
    if both == [Known::YES; 2] {
        return Diagnostic::error(
            "Which secret?",
            "Both better_auth_secret and better_auth_secret_wo are given. Keep better_auth_secret_wo, which is never stored, or better_auth_secret.",
        )
        .at("better_auth_secret")
        .into();
    }
    Diagnostics::default()
}

/// Finishes the plan of a key pair.
pub fn finish(plan: &mut Plan<'_>) {
    if plan.deletes() {
        return;
    }
    let prior = plan.prior::<Model>(Path::root());
    let given = plan.config().get::<Option<Secret>>("private_key").known();
    let parsed = given.map(|pem| pem.map(|pem| AuthKeys::parse(pem.expose())));
    let pair = match parsed {
        Some(None) => generated(plan, prior.as_ref()),
        Some(Some(Ok(keys))) => given_pair(plan, prior.as_ref(), keys),
        // What is not known may be another key than before, and what is none
        // is refused by the attribute's own check.
        None | Some(Some(Err(_))) => {
            if !plan.config().has("bits") {
                plan.set_unknown("bits");
            }
            if prior.is_some() {
                warn_perhaps(plan, "private_key");
            }
            Known::Unknown
        }
    };
    show(plan, &pair);
}

/// Whether a new pair is asked for. What is said for the first time after an
/// import describes the pair that was imported.
fn is_triggered(plan: &mut Plan<'_>) -> bool {
    !plan.creates() && plan.changes("rotate_trigger") && !imported::is_fresh(plan.private())
}

fn given_pair(plan: &mut Plan<'_>, prior: Option<&Model>, keys: AuthKeys) -> Known<AuthKeys> {
    if is_triggered(plan) {
        plan.report(
            Diagnostic::error(
                "A given key is not rotated",
                "rotate_trigger replaces the key that is generated when none is given, and private_key gives one. Remove one of the two; a given key is replaced by giving another.",
            )
            .at("rotate_trigger"),
        );
    }
    let bits = keys.bits() as u64;
    if let Known::Known(Some(asked)) = plan.config().get::<Option<u64>>("bits")
        && asked != bits
    {
        plan.report(
            Diagnostic::error(
                "The given key has another size",
                format!("private_key has {bits} bits, and bits is {asked}. It is the size of a generated key: remove bits, or give a key of that size."),
            )
            .at("bits"),
        );
    }
    plan.set("bits", &bits);
    if let Some(prior) = prior {
        let same = prior.thumbprint.as_ref() == Some(&keys.thumbprint());
        match &prior.private_key {
            _ if !same => warn(plan, "private_key"),
            // One key has many spellings, and another one is no change.
            Some(before) => plan.set("private_key", before),
            None => {}
        }
    }
    Known::Known(keys)
}

fn generated(plan: &mut Plan<'_>, prior: Option<&Model>) -> Known<AuthKeys> {
    let had = prior
        .and_then(|prior| prior.private_key_pem.as_ref())
        .and_then(|pem| AuthKeys::parse(pem.expose()).ok());
    let asked = plan.config().get::<Option<u64>>("bits");
    let Some(had) = had else {
        if asked == Known::Known(None) {
            plan.set("bits", &KeySize::default().bits());
        }
        plan.set("private_key", &None::<String>);
        return Known::Unknown;
    };
    let bits = had.bits() as u64;
    let other_size = match asked {
        Known::Known(Some(asked)) => asked != bits,
        Known::Known(None) => false,
        Known::Unknown => {
            plan.set_unknown("private_key");
            warn_perhaps(plan, "bits");
            return Known::Unknown;
        }
    };
    let triggered = is_triggered(plan);
    if !triggered && !other_size {
        if plan.changes("rotate_trigger") {
            plan.report(
                Diagnostic::warning(
                    "The imported key pair stays",
                    "rotate_trigger is set for the first time after the import, and describes the pair that was imported. To replace that pair, apply this and then change rotate_trigger again.",
                )
                .at("rotate_trigger"),
            );
        }
        return Known::Known(had);
    }
    warn(plan, if triggered { "rotate_trigger" } else { "bits" });
    plan.set("private_key", &None::<String>);
    // A key that was given may have a size that none is made in.
    if asked == Known::Known(None) && KeySize::from_bits(bits).is_err() {
        plan.set("bits", &KeySize::default().bits());
    }
    Known::Unknown
}

const CONSEQUENCES: &str = "Where it is set, JWT_PRIVATE_KEY and JWKS have to change together; convex_env sends them in one batch. The backend accepts tokens signed with the old key for up to 15 s more, and may refuse tokens of the new one for about 3 s. Clients of @convex-dev/auth get new tokens with their refresh tokens, so users stay signed in. Programs that kept a token must sign in again.";

fn warn(plan: &mut Plan<'_>, cause: &str) {
    plan.report(
        Diagnostic::warning(
            "Sign-in tokens are signed with a new key",
            format!("{cause} has changed, so the key pair is replaced. {CONSEQUENCES}"),
        )
        .at(cause),
    );
}

fn warn_perhaps(plan: &mut Plan<'_>, cause: &str) {
    plan.report(
        Diagnostic::warning(
            "Sign-in tokens may be signed with a new key",
            format!("{cause} is only known during apply. If it is another one then, the key pair is replaced. {CONSEQUENCES}"),
        )
        .at(cause),
    );
}

/// The secret for better-auth's form, where one is given.
fn better_auth_secret(config: Config<'_>) -> Known<Option<Secret>> {
    match config.get("better_auth_secret") {
        Known::Known(None) => config.get("better_auth_secret_wo"),
        given => given,
    }
}

/// Plans what follows from the pair.
fn show(plan: &mut Plan<'_>, pair: &Known<AuthKeys>) {
    if let Known::Known(keys) = pair {
        plan.set("id", &keys.thumbprint());
        plan.set("private_key_pem", &keys.private_key_pem());
        plan.set("private_key_line", &keys.private_key_single_line());
        plan.set("public_key_pem", &keys.public_key_pem());
        plan.set("jwks", &keys.jwks());
        plan.set("thumbprint", &keys.thumbprint());
    } else {
        for path in FROM_PAIR {
            plan.set_unknown(path);
        }
    }
    let sealed = match (better_auth_secret(plan.config()), pair) {
        (Known::Known(None), _) => Some(None),
        (Known::Known(Some(secret)), Known::Known(keys)) => {
            BetterAuthSecret::parse(secret.expose())
                .ok()
                .and_then(|secret| keys.better_auth_jwks(&secret).ok())
                .map(Some)
        }
        _ => None,
    };
    match sealed {
        Some(jwks) => plan.set("better_auth_jwks", &jwks),
        None => plan.set_unknown("better_auth_jwks"),
    }
}
