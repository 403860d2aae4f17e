import './style/base.css';
import './style/parts.css';
import './style/pages.css';
import 'uplot/dist/uPlot.min.css';
import { render } from 'preact';
import { recall } from './session.ts';
import { Shell } from './shell.tsx';

void recall();
render(<Shell />, document.getElementById('app')!);
