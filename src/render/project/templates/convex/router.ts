import { httpRouter } from "convex/server";

// Add routes of your own here.
const http = httpRouter();

export default http;
