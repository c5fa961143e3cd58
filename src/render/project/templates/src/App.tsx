import { useAuthActions } from "@convex-dev/auth/react";
import {
  Authenticated,
  AuthLoading,
  Unauthenticated,
  useMutation,
  useQuery,
} from "convex/react";
import { useState } from "react";
import { api } from "../convex/_generated/api";

export default function App() {
  return (
    <main>
      <h1>Tasks</h1>
      <AuthLoading>
        <p>Connecting to Convex…</p>
      </AuthLoading>
      <Unauthenticated>
        <SignIn />
      </Unauthenticated>
      <Authenticated>
        <SignOut />
        <Tasks />
      </Authenticated>
    </main>
  );
}

/** What to tell a person, by what the error of `signIn` contains. */
const PROBLEMS: [string, string][] = [
  ["InvalidAccountId", "Wrong email or password."],
  ["InvalidSecret", "Wrong email or password."],
  ["Invalid credentials", "Wrong email or password."],
  ["TooManyFailedAttempts", "Too many attempts. Try again later."],
  ["already exists", "There is an account with this email. Sign in instead."],
  ["Invalid password", "The password needs 8 characters or more."],
];

function describe(error: unknown): string {
  const known = PROBLEMS.find(([part]) => String(error).includes(part));
  if (known !== undefined) {
    return known[1];
  }
  // The rest is for whoever develops the app, and so are its details.
  console.error(error);
  return "Signing in failed. The browser's console and the backend's log say why.";
}

function SignIn() {
  const { signIn } = useAuthActions();
  const [flow, setFlow] = useState<"signIn" | "signUp">("signIn");
  const [pending, setPending] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const attempt = (provider: string, params?: FormData) => {
    setProblem(null);
    setPending(true);
    signIn(provider, params)
      .catch((error: unknown) => setProblem(describe(error)))
      .finally(() => setPending(false));
  };
  return (
    <section>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          attempt("password", new FormData(event.currentTarget));
        }}
      >
        <input name="email" type="email" placeholder="Email" required />
        <input name="password" type="password" placeholder="Password" required />
        <input name="flow" type="hidden" value={flow} />
        <button type="submit" disabled={pending}>
          {flow === "signIn" ? "Sign in" : "Sign up"}
        </button>
        <button
          type="button"
          onClick={() => {
            setProblem(null);
            setFlow(flow === "signIn" ? "signUp" : "signIn");
          }}
        >
          {flow === "signIn" ? "New here?" : "Have an account?"}
        </button>
      </form>
      <button
        type="button"
        disabled={pending}
        onClick={() => attempt("anonymous")}
      >
        Go on without an account
      </button>
      {problem !== null && <p role="alert">{problem}</p>}
    </section>
  );
}

function SignOut() {
  const { signOut } = useAuthActions();
  const user = useQuery(api.auth.currentUser);
  return (
    <p>
      {user === undefined
        ? "Loading your account…"
        : `Signed in as ${user?.email ?? "a guest"}`}{" "}
      <button type="button" onClick={() => void signOut()}>
        Sign out
      </button>
    </p>
  );
}

function Tasks() {
  const tasks = useQuery(api.tasks.list);
  const add = useMutation(api.tasks.add);
  const setStatus = useMutation(api.tasks.setStatus);
  return (
    <section>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const form = event.currentTarget;
          const title = String(new FormData(form).get("title"));
          void add({ title }).then(() => form.reset());
        }}
      >
        <input name="title" placeholder="What is to be done?" required />
        <button type="submit">Add</button>
      </form>
      {tasks === undefined ? (
        <p>Loading…</p>
      ) : (
        <ul>
          {tasks.map((task) => (
            <li key={task._id}>
              <label>
                <input
                  type="checkbox"
                  checked={task.status === "done"}
                  onChange={(event) =>
                    void setStatus({
                      id: task._id,
                      status: event.target.checked ? "done" : "open",
                    })
                  }
                />
                {task.title}
              </label>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
