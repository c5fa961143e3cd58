import { auth } from "./auth";
import http from "./router";

// Without these routes no sign-in endpoint answers, and no token is accepted.
auth.addHttpRoutes(http);

export default http;
