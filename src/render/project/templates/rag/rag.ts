import { v } from "convex/values";
import { internal } from "./_generated/api";
import type { Doc } from "./_generated/dataModel";
import {
  action,
  internalAction,
  internalMutation,
  internalQuery,
} from "./_generated/server";

// Said here, since the frontend's type check reads this file too and need not
// know Node.
declare const process: { env: Record<string, string | undefined> };

const MODEL = "text-embedding-3-small";

/** The embedding of a text, of 1536 dimensions. */
async function embed(text: string): Promise<number[]> {
  if (process.env.ENABLE_RAG !== "true") {
    throw new Error("Set the deployment's variable ENABLE_RAG to true");
  }
  const key = process.env.OPENAI_API_KEY;
  if (!key) {
    throw new Error("Set the deployment's variable OPENAI_API_KEY");
  }
  const response = await fetch("https://api.openai.com/v1/embeddings", {
    method: "POST",
    headers: {
      Authorization: `Bearer ${key}`,
      "Content-Type": "application/json",
    },
    body: JSON.stringify({ model: MODEL, input: text }),
  });
  if (!response.ok) {
    throw new Error(`OpenAI answered with status ${response.status}`);
  }
  const { data } = (await response.json()) as {
    data: { embedding: number[] }[];
  };
  return data[0].embedding;
}

/** Takes in a document, or replaces the one of that title. */
export const ingest = internalAction({
  args: { title: v.string(), text: v.string() },
  handler: async (ctx, { title, text }): Promise<null> => {
    const embedding = await embed(text);
    await ctx.runMutation(internal.rag.put, { title, text, embedding });
    return null;
  },
});

export const put = internalMutation({
  args: {
    title: v.string(),
    text: v.string(),
    embedding: v.array(v.float64()),
  },
  handler: async (ctx, document) => {
    const existing = await ctx.db
      .query("documents")
      .withIndex("by_title", (q) => q.eq("title", document.title))
      .unique();
    if (existing === null) {
      await ctx.db.insert("documents", document);
    } else {
      await ctx.db.patch(existing._id, document);
    }
  },
});

export const get = internalQuery({
  args: { id: v.id("documents") },
  handler: async (ctx, { id }) => await ctx.db.get(id),
});

/** The documents nearest in meaning, for whoever is signed in. */
export const search = action({
  args: { query: v.string(), limit: v.optional(v.number()) },
  handler: async (
    ctx,
    { query, limit },
  ): Promise<{ title: string; text: string; score: number }[]> => {
    if ((await ctx.auth.getUserIdentity()) === null) {
      throw new Error("Not signed in");
    }
    const found = await ctx.vectorSearch("documents", "by_embedding", {
      vector: await embed(query),
      limit: Math.min(limit ?? 5, 50),
    });
    const documents = [];
    for (const { _id, _score } of found) {
      const document: Doc<"documents"> | null = await ctx.runQuery(
        internal.rag.get,
        { id: _id },
      );
      if (document !== null) {
        const { title, text } = document;
        documents.push({ title, text, score: _score });
      }
    }
    return documents;
  },
});
