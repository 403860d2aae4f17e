import './style/base.css';
import './style/parts.css';
import './style/pages.css';
import 'uplot/dist/uPlot.min.css';
import { render } from 'preact';
import { Shell } from './shell.tsx';

render(<Shell />, document.getElementById('app')!);
