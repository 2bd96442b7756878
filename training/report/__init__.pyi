from .report_page import ReportFigure as ReportFigure
from .report_page import ReportSample as ReportSample
from .report_page import TrainingReport as TrainingReport
from .report_page import render_report as render_report
from .report_page import write_report as write_report
from .svg_chart import ChartSeries as ChartSeries
from .svg_chart import line_chart as line_chart

__all__: list[str]
