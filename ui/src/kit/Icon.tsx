const PATHS = {
  polygon: "M5 8.5 12 4l7 5-2.5 9.5h-9z",
  rectangle: "M4.5 6.5h15v11h-15z",
  circle: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16z",
  view: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  edit: "m4 20 1-4L16 5l3 3L8 19zM14 7l3 3",
  trash: "M5 7h14M10 7V4.5h4V7M7 7l1 12.5h8L17 7",
  undo: "M9 5 4.5 9.5 9 14M5 9.5h9a5 5 0 0 1 0 10h-3",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  home: "M4 11.5 12 5l8 6.5M6.5 10v9h11v-9",
  play: "M8 5.5v13l10.5-6.5z",
  pause: "M8 5.5v13M16 5.5v13",
  look: "M12 4v16M12 4a8 8 0 1 0 0 16M12 4a8 8 0 0 1 0 16",
  down: "m6 9.5 6 6 6-6",
  up: "m6 14.5 6-6 6 6",
  close: "m6 6 12 12M18 6 6 18",
  alert: "M12 4 2.8 19.5h18.4zM12 10v4.5M12 17v.3",
  check: "m5 12.5 4.5 4.5L19 7.5",
  info: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16M12 11v5M12 8v.3",
  upload: "M12 16V5M7.5 9.5 12 5l4.5 4.5M5 19h14",
  download: "M12 5v11M7.5 11.5 12 16l4.5-4.5M5 19h14",
  eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 9.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5",
  swipe: "M12 3.5v17M8.5 8.5 5 12l3.5 3.5M15.5 8.5 19 12l-3.5 3.5",
  link: "M10 14a4 4 0 0 0 6 .5l3-3a4 4 0 0 0-5.7-5.7L12 7M14 10a4 4 0 0 0-6-.5l-3 3a4 4 0 0 0 5.7 5.7L12 17",
  user: "M12 4.5a3.75 3.75 0 1 0 0 7.5 3.75 3.75 0 0 0 0-7.5M4.5 20c.6-3.6 3.6-5.5 7.5-5.5s6.9 1.9 7.5 5.5",
  bookmark: "M7 4.5h10V20l-5-4-5 4z",
  again: "M19 12a7 7 0 1 1-2.2-5.1M19 4v4.5h-4.5",
  open: "M13 5h6v6M19 5l-8.5 8.5M10 6H6v12h12v-4",
  back: "M14.5 5.5 8 12l6.5 6.5",
} as const;

export type IconName = keyof typeof PATHS;

/** A line drawing; it says nothing to a screen reader. */
export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.8" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
