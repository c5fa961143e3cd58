import { authTables } from "@convex-dev/auth/server";
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

// Convex adds `_id` and `_creationTime` to every document: do not declare them.
// Name an index after its fields. It ends with `_creationTime` by itself.
const applicationTables = {
  tasks: defineTable({
    title: v.string(),
    status: v.string(),
    userId: v.id("users"),
  })
    .index("by_status", ["status"])
    .index("by_user", ["userId"]),
  documents: defineTable({
    title: v.string(),
    text: v.string(),
    embedding: v.array(v.float64()),
  })
    .index("by_title", ["title"])
    // As many dimensions as the model in rag.ts gives.
    .vectorIndex("by_embedding", {
      vectorField: "embedding",
      dimensions: 1536,
    }),
};

export default defineSchema({
  // Users and sessions. Signing in needs them, so keep this line.
  ...authTables,
  ...applicationTables,
});
