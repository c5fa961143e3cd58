//! The key pair for tokens, held to `jose`, the library `@convex-dev/auth` signs with.

use terraform_provider_convex::convex::AuthKeys;
use terraform_provider_convex::convex::auth_keys::{AuthKeyError, KeySize};

use crate::support::node;

#[test]
fn jose_signs_with_the_private_key_and_verifies_with_the_jwks() {
    let script = r#"
        import { SignJWT, calculateJwkThumbprint, createLocalJWKSet, importPKCS8, jwtVerify } from "jose";
        import assert from "node:assert/strict";

        const { JWT_PRIVATE_KEY, JWT_PRIVATE_KEY_PEM, JWKS, OTHER_JWKS } = process.env;
        const issuer = "http://localhost:3211";
        const check = (token, jwks) =>
            jwtVerify(token, createLocalJWKSet(JSON.parse(jwks)), { issuer, audience: "convex" });

        for (const pem of [JWT_PRIVATE_KEY, JWT_PRIVATE_KEY_PEM]) {
            const key = await importPKCS8(pem, "RS256");
            const token = await new SignJWT({ sub: "user|session" })
                .setProtectedHeader({ alg: "RS256" })
                .setIssuedAt().setIssuer(issuer).setAudience("convex").setExpirationTime("1h")
                .sign(key);
            const { payload } = await check(token, JWKS);
            assert.equal(payload.sub, "user|session");
            await assert.rejects(check(token, OTHER_JWKS), { code: "ERR_JWS_SIGNATURE_VERIFICATION_FAILED" });
        }
        console.log(await calculateJwkThumbprint(JSON.parse(JWKS).keys[0]));
    "#;
    let keys = AuthKeys::generate(KeySize::Rsa2048).unwrap();
    let other = AuthKeys::generate(KeySize::Rsa2048).unwrap();
    let printed = node::run_node(
        &node::npm_install(&[("jose", "5")]),
        script,
        &[],
        &[
            ("JWT_PRIVATE_KEY", keys.private_key_single_line().expose()),
            ("JWT_PRIVATE_KEY_PEM", keys.private_key_pem().expose()),
            ("JWKS", &keys.jwks()),
            ("OTHER_JWKS", &other.jwks()),
        ],
    );
    assert_eq!(printed.trim(), keys.thumbprint());
}

/// The script is what `@convex-dev/auth` 0.0.95 does to make keys; the forms must be alike.
#[test]
fn a_pair_made_as_convex_auth_makes_it_is_written_back_unchanged() {
    let script = r#"
        import { exportJWK, exportPKCS8, generateKeyPair } from "jose";

        const keys = await generateKeyPair("RS256", { extractable: true });
        const privateKey = await exportPKCS8(keys.privateKey);
        const publicKey = await exportJWK(keys.publicKey);
        console.log(privateKey.trimEnd().replace(/\n/g, " "));
        console.log(JSON.stringify({ keys: [{ use: "sig", ...publicKey }] }));
    "#;
    let printed = node::run_node(&node::npm_install(&[("jose", "5")]), script, &[], &[]);
    let lines: Vec<&str> = printed.lines().collect();
    let keys = AuthKeys::parse(lines[0]).unwrap();
    assert_eq!(keys.private_key_single_line().expose(), lines[0]);
    assert_eq!(keys.jwks(), lines[1]);
}

#[test]
fn a_key_too_small_for_rs256_is_refused() {
    let small = include_str!("data/rsa_1024_for_tests.pem");
    assert_eq!(AuthKeys::parse(small).unwrap_err(), AuthKeyError::TooSmall);
}
