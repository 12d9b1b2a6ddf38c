import { toHash } from "@/view/url";
import { useView } from "@/view/store";
import { answered, api } from "./client";
import { useSession } from "./session";

/** Asks the server who this is; leaves what is known as it is when the server does not answer. */
export async function loadSession(): Promise<void> {
  const { owner, method, csrf, sign_in: signIn } = await answered(api.GET("/api/v1/auth/session"));
  useSession.setState({ owner, method, csrf, signIn, over: false });
}

/** Leaves for the provider; the view, and the area in it, is there again on return. */
export function signIn(): void {
  const back = `${location.pathname}${toHash(useView.getState())}`;
  location.assign(`.${useSession.getState().signIn}?back=${encodeURIComponent(back)}`);
}

export async function signOut(): Promise<void> {
  await api.POST("/api/v1/auth/logout");
  await loadSession();
}
