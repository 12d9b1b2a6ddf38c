import { useSession } from "@/api/session";
import { signIn, signOut } from "@/api/signIn";
import { Icon } from "@/kit/Icon";
import { Popover } from "@/kit/Popover";
import { strings } from "@/strings";

/** Who is signed in, where users sign in at all. */
export function Account() {
  const { owner, signIn: where } = useSession();
  if (where === "") return null;
  if (owner === "") return <button type="button" className="button" onClick={signIn}><Icon name="user" /> {strings.session.signIn}</button>;
  return (
    <Popover icon="user" label={strings.session.account}>
      <p className="clip" title={owner}>{strings.session.signedIn}<br /><strong>{owner}</strong></p>
      <button type="button" className="button" onClick={() => void signOut()}>{strings.session.signOut}</button>
    </Popover>
  );
}
