import { useConfig } from "@/api/config";
import { Popover } from "@/kit/Popover";
import { Segments } from "@/kit/Segments";
import type { PaletteName } from "@/legend/dynamicWorld";
import { useGround, type Ground } from "@/map/ground";
import { strings } from "@/strings";
import { useTheme, type ThemeChoice } from "@/theme/theme";
import { useView } from "@/view/store";

const THEMES: readonly { value: ThemeChoice; label: string }[] = [
  { value: "auto", label: strings.theme.auto },
  { value: "light", label: strings.theme.light },
  { value: "dark", label: strings.theme.dark },
];
const PALETTES: readonly { value: PaletteName; label: string }[] = [
  { value: "official", label: strings.theme.official },
  { value: "safe", label: strings.theme.safe },
];
const GROUNDS: readonly { value: Ground; label: string }[] = [
  { value: "outlines", label: strings.theme.outlines },
  { value: "tiles", label: strings.theme.tiles },
];

/** Light or dark, in which colours, and on what ground. */
export function LookMenu() {
  const { choice, choose } = useTheme();
  const { palette, set } = useView();
  const basemap = useConfig((config) => config.basemap);
  const ground = useGround((state) => state.ground);
  return (
    <div className="card control-group">
      <Popover icon="look" label={strings.theme.menu}>
        <h3>{strings.theme.label}</h3>
        <Segments label={strings.theme.label} value={choice} options={THEMES} onChange={choose} />
        <h3>{strings.theme.palette}</h3>
        <Segments label={strings.theme.palette} value={palette} options={PALETTES} onChange={(value) => set({ palette: value })} />
        {basemap !== "" && (
          <>
            <h3>{strings.theme.ground}</h3>
            <Segments label={strings.theme.ground} value={ground} options={GROUNDS} onChange={(value) => useGround.setState({ ground: value })} />
          </>
        )}
      </Popover>
    </div>
  );
}
