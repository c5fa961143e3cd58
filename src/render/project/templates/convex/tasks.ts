import { getAuthUserId } from "@convex-dev/auth/server";
import { v } from "convex/values";
import { mutation, query } from "./_generated/server";
import { requireUserId } from "./lib/user";

/** The tasks of whoever is signed in, the newest first. */
export const list = query({
  args: {},
  handler: async (ctx) => {
    const userId = await getAuthUserId(ctx);
    if (userId === null) {
      return [];
    }
    return await ctx.db
      .query("tasks")
      .withIndex("by_user", (q) => q.eq("userId", userId))
      .order("desc")
      .take(100);
  },
});

/** Adds a task. */
export const add = mutation({
  args: { title: v.string() },
  handler: async (ctx, { title }) => {
    const userId = await requireUserId(ctx);
    return await ctx.db.insert("tasks", { title, status: "open", userId });
  },
});

/** Changes the status of a task of one's own. */
export const setStatus = mutation({
  args: { id: v.id("tasks"), status: v.string() },
  handler: async (ctx, { id, status }) => {
    const userId = await requireUserId(ctx);
    const task = await ctx.db.get(id);
    if (task === null || task.userId !== userId) {
      throw new Error("No such task");
    }
    await ctx.db.patch(id, { status });
  },
});
