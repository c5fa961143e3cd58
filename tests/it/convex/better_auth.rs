//! The key pair for tokens in better-auth's form, held to better-auth itself.

use std::path::PathBuf;

use terraform_provider_convex::convex::{
    AuthKeys,
    auth_keys::{BetterAuthSecret, KeySize},
};

use crate::support::node;

/// The packages, as an application installs them.
pub fn packages() -> PathBuf {
    node::npm_install(&[
        ("@convex-dev/better-auth", "0.12.5"),
        ("better-auth", "1.6.34"),
        ("convex", "1.48.0"),
    ])
}

/// An application of better-auth with the plugin for Convex, its tables in memory. It prints what
/// a token of a user who has just signed up says, and the public key a backend checks it with.
pub const SIGN_UP: &str = r#"
    import { betterAuth } from "better-auth";
    import { memoryAdapter } from "better-auth/adapters/memory";
    import { convex } from "@convex-dev/better-auth/plugins";
    import { getAuthConfigProvider } from "@convex-dev/better-auth/auth-config";
    import { createLocalJWKSet, jwtVerify } from "jose";
    import assert from "node:assert/strict";

    const { JWKS, CONVEX_SITE_URL } = process.env;
    const tables = { user: [], session: [], account: [], verification: [], jwks: [] };
    // The plugin writes nothing unless the database says that it may, as Convex's own one does.
    const database = (options) => {
        const adapter = memoryAdapter(tables)(options);
        return { ...adapter, options: { ...adapter.options, isRunMutationCtx: true } };
    };
    const application = (jwks) => betterAuth({
        baseURL: "http://localhost:3000",
        database,
        emailAndPassword: { enabled: true },
        logger: { disabled: true },
        plugins: [convex({ authConfig: { providers: [getAuthConfigProvider({ jwks })] }, jwks })],
    });
    const auth = application(JWKS);
    const { headers } = await auth.api.signUpEmail({
        body: { email: "ann@example.com", password: "correct horse", name: "Ann" },
        returnHeaders: true,
    });
    const cookie = headers.getSetCookie().map((it) => it.split(";")[0]).join("; ");
    const { token } = await auth.api.getToken({ headers: new Headers({ cookie }) });
    assert.deepEqual(tables.jwks, [], "another key than the given one was made");

    // What a backend does: the provider is a customJwt with its keys in a data URI.
    const provider = getAuthConfigProvider({ jwks: JWKS });
    assert.equal(provider.type, "customJwt");
    assert.equal(provider.algorithm, "RS256");
    const set = JSON.parse(Buffer.from(provider.jwks.split(";base64,")[1], "base64").toString());
    const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(set), {
        issuer: CONVEX_SITE_URL, audience: provider.applicationID, algorithms: ["RS256"],
    });
    assert.equal(payload.email, "ann@example.com");
    assert.equal(set.keys.length, 1);

    // What it makes when it is given nothing has the same fields.
    const fields = (row) => Object.keys(row).filter((name) => name !== "expiresAt").sort();
    const [own] = await application(undefined).api.getLatestJwks();
    const [row] = JSON.parse(JWKS);
    assert.deepEqual(fields(row), fields(own));
    for (const name of ["id", "publicKey", "privateKey", "alg"]) {
        assert.equal(typeof row[name], typeof own[name], name);
    }
    assert.deepEqual(Object.keys(JSON.parse(row.publicKey)).sort(), Object.keys(JSON.parse(own.publicKey)).sort());
    console.log(JSON.stringify({ kid: protectedHeader.kid, n: set.keys[0].n }));
"#;

const SITE: &str = "http://127.0.0.1:3211";

fn sign_up(jwks: &str, secret: &str) -> String {
    let environment = [
        ("JWKS", jwks),
        ("BETTER_AUTH_SECRET", secret),
        ("CONVEX_SITE_URL", SITE),
    ];
    node::run_node(&packages(), SIGN_UP, &[], &environment)
}

#[test]
fn better_auth_signs_with_the_row_and_a_backend_can_check_it() {
    let secret = "a secret of this application, é and all";
    for size in [KeySize::Rsa2048, KeySize::Rsa4096] {
        let keys = AuthKeys::generate(size).unwrap();
        let jwks = keys
            .better_auth_jwks(&BetterAuthSecret::parse(secret).unwrap())
            .unwrap();
        let printed = sign_up(jwks.expose(), secret);
        let seen: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(seen["kid"], keys.thumbprint());
        assert!(keys.jwks().contains(seen["n"].as_str().unwrap()));
    }
}

#[test]
#[should_panic(expected = "Failed to decrypt private key")]
fn another_secret_than_the_deployments_opens_nothing() {
    let keys = AuthKeys::generate(KeySize::Rsa2048).unwrap();
    let jwks = keys
        .better_auth_jwks(&BetterAuthSecret::parse("a secret of another application").unwrap())
        .unwrap();
    sign_up(jwks.expose(), "a secret of this application, é and all");
}
