import { ConvexAuthProvider } from "@convex-dev/auth/react";
import { ConvexReactClient } from "convex/react";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import App from "./App";

const root = createRoot(document.getElementById("root")!);
const url: string | undefined = import.meta.env.VITE_CONVEX_URL;

if (url) {
  const convex = new ConvexReactClient(url);
  root.render(
    <StrictMode>
      <ConvexAuthProvider client={convex}>
        <App />
      </ConvexAuthProvider>
    </StrictMode>,
  );
} else {
  root.render(
    <p>
      VITE_CONVEX_URL is not set. It is in .env.convex.local, which Vite reads in
      the mode of <code>npm run dev</code> and <code>npm run build</code>.
    </p>,
  );
}
