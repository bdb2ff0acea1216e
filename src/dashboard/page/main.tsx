// Where the page begins.
import { render } from 'preact';
import { App } from './app.tsx';
import { applyTheme, storedTheme } from './theme.ts';

applyTheme(storedTheme());
const place = document.getElementById('page');
if (place) render(<App />, place);
