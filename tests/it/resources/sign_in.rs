//! Signing in, from the variables of a deployment to a token that a backend accepts: with the real
//! code of `@convex-dev/auth` in the part of the application, and no part of it in the other.

mod browser;

use terraform_provider_convex::convex::tested::{CONVEX, CONVEX_AUTH};

use super::{config, configure, deployment};
use crate::support::{
    docker::{Name, port},
    node, on_each_core,
    terraform::{Core, Project},
};

/// The application: what Convex would run of `@convex-dev/auth`, in node, with the variables that
/// the deployment has. It signs a token and serves the documents that go with it.
const APPLICATION: &str = r#"
    import { convexAuth } from "@convex-dev/auth/server";
    import { httpRouter } from "convex/server";
    import assert from "node:assert/strict";
    import { createServer } from "node:http";
    import { resolve } from "node:path";
    import { pathToFileURL } from "node:url";

    const { DEPLOYMENT_URL, ADMIN_KEY } = process.env;
    const listed = await fetch(`${DEPLOYMENT_URL}/api/list_environment_variables`, {
        headers: { Authorization: `Convex ${ADMIN_KEY}` },
    });
    assert.equal(listed.status, 200);
    const { environmentVariables: variables } = await listed.json();
    Object.assign(process.env, variables);
    // This one is built in: the backend sets it to its own site origin.
    process.env.CONVEX_SITE_URL = variables.CONVEX_SITE_ORIGIN;

    const { auth } = convexAuth({ providers: [] });
    const http = httpRouter();
    auth.addHttpRoutes(http);
    const site = new URL(process.env.CONVEX_SITE_URL);
    const server = createServer(async (request, response) => {
        const url = new URL(request.url, site);
        const [action] = http.lookup(url.pathname, request.method) ?? [];
        if (!action) return response.writeHead(404).end();
        const reply = await action.invokeHttpAction(new Request(url));
        response.writeHead(reply.status, Object.fromEntries(reply.headers)).end(await reply.text());
    });
    await new Promise((done) => server.listen(Number(site.port), site.hostname, done));

    const tokens = resolve("node_modules/@convex-dev/auth/dist/server/implementation/tokens.js");
    const { generateToken } = await import(pathToFileURL(tokens));
    const token = await generateToken({}, { userId: "user", sessionId: "session" }, {});
"#;

/// The backend: what it does with a token, after its source (`crates/authentication` and its
/// fork of `openidconnect`), with nothing but node itself.
const BACKEND: &str = r#"
    import { createPublicKey, verify } from "node:crypto";

    const decode = (part) => JSON.parse(Buffer.from(part, "base64url").toString());
    async function document(url) {
        const reply = await fetch(url);
        if (reply.status !== 200) throw new Error(`${url} answers ${reply.status}`);
        const type = reply.headers.get("content-type").split(";")[0].trim().toLowerCase();
        if (type !== "application/json") throw new Error(`${url} is ${type}`);
        return await reply.json();
    }
    async function accept(token, provider) {
        const [head, body, signature] = token.split(".");
        const [header, claims] = [decode(head), decode(body)];
        const bare = (url) => url.replace(/\/$/, "");
        if (![claims.aud].flat().includes(provider.applicationID) || bare(claims.iss) !== bare(provider.domain)) {
            throw new Error("NoAuthProvider");
        }
        const discovered = await document(`${bare(claims.iss)}/.well-known/openid-configuration`);
        if (discovered.issuer !== claims.iss) throw new Error("another issuer");
        const { keys } = await document(discovered.jwks_uri);
        if (header.alg !== "RS256") throw new Error("another algorithm");
        const fit = keys.filter((key) => key.kty === "RSA" && (key.use ?? "sig") === "sig"
            && (key.alg ?? "RS256") === "RS256" && (header.kid === undefined || key.kid === header.kid));
        if (fit.length === 0) throw new Error("NoMatchingKey");
        if (fit.length > 1) throw new Error("AmbiguousKeyId");
        const key = createPublicKey({ key: fit[0], format: "jwk" });
        const signed = verify("RSA-SHA256", `${head}.${body}`, key, Buffer.from(signature, "base64url"));
        if (!signed) throw new Error("InvalidSignature");
        const now = Date.now() / 1000;
        if (!(claims.exp > now && claims.iat <= now + 5)) throw new Error("expired");
        return claims;
    }
"#;

/// Lets the backend judge the application's token, and one of before.
const JUDGE: &str = r#"
    const provider = { domain: process.env.CONVEX_SITE_URL, applicationID: "convex" };
    const claims = await accept(token, provider);
    assert.equal(claims.sub, "user|session");
    assert.equal(claims.iss, variables.JWT_ISSUER);
    if (process.env.OLD_TOKEN) {
        await assert.rejects(accept(process.env.OLD_TOKEN, provider), /InvalidSignature/);
    }
    // The judge is no yes-man.
    const [head, body, signature] = token.split(".");
    const forged = Buffer.from(JSON.stringify({ ...claims, sub: "admin|session" })).toString("base64url");
    await assert.rejects(accept([head, forged, signature].join("."), provider), /InvalidSignature/);
    await assert.rejects(accept(token, { ...provider, domain: "http://127.0.0.1:1" }), /NoAuthProvider/);
    const { keys } = JSON.parse(process.env.JWKS);
    process.env.JWKS = JSON.stringify({ keys: [...keys, ...keys] });
    await assert.rejects(accept(token, provider), /AmbiguousKeyId/);
    server.close();
    console.log(token);
"#;

const OUTPUTS: &str = r#"
    output "url" {
      value = convex_deployment.app.urls.api
    }
    output "admin_key" {
      value     = convex_deployment.app.admin_key
      sensitive = true
    }
"#;

/// A deployment whose site origin is where the application will listen.
fn blocks(name: &Name, (api, site): (u16, u16), auth: &str) -> String {
    let attributes = format!(
        "network = {{ publish = {{ api = {api} }} }}\norigins = {{ site = \"http://127.0.0.1:{site}\" }}\ninternal_origins = false"
    );
    format!(
        "{}{OUTPUTS}\nresource \"convex_env\" \"app\" {{\n  deployment = convex_deployment.app.id\n{auth}\n}}",
        deployment(name, &attributes)
    )
}

/// Signs in with what the deployment has now, and returns the token.
#[track_caller]
fn sign_in(project: &Project, old_token: &str) -> String {
    let output = |name: &str| project.output(name).as_str().expect("text").to_owned();
    let packages = node::npm_install(&[
        ("@convex-dev/auth", CONVEX_AUTH),
        ("@auth/core", "0.41.3"),
        ("convex", CONVEX),
    ]);
    let token = node::run_node(
        &packages,
        &format!("{APPLICATION}{BACKEND}{JUDGE}"),
        &[],
        &[
            ("DEPLOYMENT_URL", &output("url")),
            ("ADMIN_KEY", &output("admin_key")),
            ("OLD_TOKEN", old_token),
        ],
    );
    token.trim().to_owned()
}

fn scenario_of(core: Core, auth: impl Fn(&str) -> String) {
    let (name, ports) = (Name::new(), (port(), port()));
    let project = Project::new(core, &config(&blocks(&name, ports, &auth(""))));
    project.apply().ok();
    project.assert_no_changes();
    let token = sign_in(&project, "");

    configure(
        &project,
        &blocks(&name, ports, &auth("rotate_trigger = \"1\"")),
    );
    project
        .plan()
        .ok()
        .says(&["Sign-in tokens are signed with a new key", "0 to add"]);
    project.apply().ok();
    project.assert_no_changes();
    let renewed = sign_in(&project, &token);
    assert_ne!(renewed, token);
    project.destroy().ok();
}

on_each_core! {
    fn a_token_of_convex_auth_is_accepted_until_its_key_is_rotated(core) {
        scenario_of(core, |rotation| format!("auth = {{\n{rotation}\n}}"));
    }
}

on_each_core! {
    fn a_pair_of_its_own_signs_as_well(core) {
        scenario_of(core, |rotation| format!(
            "auth = {{ private_key = convex_auth_keys.app.private_key_pem }}\n}}\nresource \"convex_auth_keys\" \"app\" {{\n{rotation}"
        ));
    }
}

on_each_core! {
    fn a_pair_of_its_own_can_be_set_as_plain_variables(core) {
        // The two variables by name, and what else an application of convex-auth has.
        scenario_of(core, |rotation| format!(
            r#"variables = {{
                JWKS               = convex_auth_keys.app.jwks
                CONVEX_SITE_ORIGIN = convex_deployment.app.origins.site
                JWT_ISSUER         = convex_deployment.app.origins.site
            }}
            secrets = {{ JWT_PRIVATE_KEY = {{ value = convex_auth_keys.app.private_key_line }} }}
            }}
            resource "convex_auth_keys" "app" {{
            {rotation}"#
        ));
    }
}
