import { ProblemError } from "@/api/client";
import { useSession } from "@/api/session";
import { signIn } from "@/api/signIn";
import { strings } from "@/strings";
import { Note } from "./Note";

interface Props {
  readonly error: Error;
  readonly retry?: () => void;
}

/** Why a request failed: what the server says, that somebody has to sign in, or that nobody answers. */
export function Trouble({ error, retry }: Props) {
  const where = useSession((session) => session.signIn);
  if (error instanceof ProblemError && error.status === 401 && where !== "") {
    return <Note tone="plain" action={<button type="button" className="button" onClick={signIn}>{strings.session.signIn}</button>}>{strings.session.needed}</Note>;
  }
  const again = retry && <button type="button" className="button" onClick={retry}>{strings.app.retry}</button>;
  return <Note tone="bad" action={again}>{error instanceof ProblemError ? error.message : strings.app.noApi}</Note>;
}
