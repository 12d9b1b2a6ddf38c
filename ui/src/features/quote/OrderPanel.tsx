import { useState } from "react";
import { answered, api } from "@/api/client";
import { useConfig } from "@/api/config";
import { useFetched } from "@/api/useFetched";
import { faultOf } from "@/area/validity";
import { baselineFor } from "@/baseline/fit";
import { useBaselines } from "@/baseline/store";
import { Note } from "@/kit/Note";
import { Trouble } from "@/kit/Trouble";
import { isOfLength, presets, seasonFor, seasonFrom, spell, type Season } from "@/season/presets";
import { strings } from "@/strings";
import { useView } from "@/view/store";
import { CatalogField } from "./CatalogField";
import { ModelField } from "./ModelField";
import { OptionsField } from "./OptionsField";
import type { Options } from "./order";
import { QuoteCard } from "./QuoteCard";
import { SeasonField } from "./SeasonField";

/** What is to be mapped, of when, by which model, and what that takes. */
export function OrderPanel() {
  const { area, areaName, set } = useView();
  const limits = useConfig((config) => config.limits);
  const baselines = useBaselines((state) => state.baselines);
  const models = useFetched("models", (signal) => answered(api.GET("/api/v1/models", { signal })));
  const catalogs = useFetched("catalogs", (signal) => answered(api.GET("/api/v1/catalogs", { signal })));
  const [picked, setSeason] = useState<Season | null>(null);
  const [model, setModel] = useState("");
  const [catalog, setCatalog] = useState("");
  const [given, setGiven] = useState<Options | null>(null);
  const chosen = models.data?.find((one) => `${one.name}/${one.version}` === model) ?? models.data?.[0];
  const days = chosen?.season_days ?? null;
  const season = picked === null ? firstSeason(days) : seasonFor(picked, days);
  if (area === null || faultOf(area, limits) !== undefined) {
    return (
      <div className="stack">
        <h2>{strings.order.title}</h2>
        <p className="lead">{strings.order.noArea}</p>
        <button type="button" className="button button-primary" onClick={() => set({ panel: "area" })}>{strings.order.toArea}</button>
      </div>
    );
  }
  const options = given ?? { baselineYear: baselineFor(season, baselines.map(({ year }) => year)), leastPatch: 0, probabilities: false };
  const order = chosen && { area, name: areaName, season, model: `${chosen.name}/${chosen.version}`, catalog: catalog || (catalogs.data?.[0]?.name ?? ""), options };
  return (
    <div className="stack stack-wide">
      <h2>{strings.order.title}</h2>
      {models.error && <Trouble error={models.error} retry={models.again} />}
      {models.loading && !models.data && <p className="row hint" role="status"><span className="spinner" />{strings.app.loading}</p>}
      {models.data?.length === 0 && <Note tone="plain">{strings.order.noModels}</Note>}
      {models.data && chosen && <ModelField models={models.data} chosen={chosen} onChange={setModel} />}
      <SeasonField season={season} days={days} onChange={setSeason} />
      {catalogs.data && catalogs.data.length > 1 && <CatalogField catalogs={catalogs.data} value={catalog} onChange={setCatalog} />}
      {order && <OptionsField options={options} baselines={baselines} onChange={setGiven} />}
      {order && catalogs.data && <QuoteCard key={`${order.model} ${spell(season)}`} order={order} />}
    </div>
  );
}

/** The newest that has ended and fits the model. */
function firstSeason(days: number | null): Season {
  const today = new Date().toISOString().slice(0, 10);
  const fitting = presets(today).find((one) => days === null || isOfLength(one, days));
  return fitting ?? seasonFrom(`${Number(today.slice(0, 4)) - 1}-10-01`, days ?? 365);
}
