import { Icon } from "@/kit/Icon";
import { useMap } from "@/map/context";
import { strings } from "@/strings";
import { useView, type Tool } from "@/view/store";
import { rectangle, takeArea } from "./state";

const TOOLS: readonly Exclude<Tool, "edit">[] = ["polygon", "rectangle", "circle"];

/** Ways to draw; the view itself is the way that needs no pointer. */
export function Tools() {
  const map = useMap();
  const { tool, set } = useView();
  const takeView = () => {
    const view = map?.getBounds();
    if (view) takeArea(rectangle([view.getWest(), view.getSouth(), view.getEast(), view.getNorth()]));
    set({ tool: null });
  };
  return (
    <div className="tools" role="group" aria-label={strings.area.title}>
      {TOOLS.map((one) => (
        <button key={one} type="button" className="tool" aria-pressed={tool === one} onClick={() => set({ tool: tool === one ? null : one })}>
          <Icon name={one} />
          {strings.area[one]}
        </button>
      ))}
      <button type="button" className="tool" onClick={takeView}>
        <Icon name="view" />
        {strings.area.view}
      </button>
    </div>
  );
}
