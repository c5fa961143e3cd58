import type { AuthConfig } from "convex/server";

// Whose tokens the backend accepts: those that this very app issues. The
// backend sets CONVEX_SITE_URL itself, to its site origin.
export default {
  providers: [
    {
      domain: process.env.CONVEX_SITE_URL!,
      applicationID: "convex",
    },
  ],
} satisfies AuthConfig;
